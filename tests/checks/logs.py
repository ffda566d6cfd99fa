# Writes a guest's log line by line as QEMU and the plugin write it: what the golden logs are made of.
# SPDX-License-Identifier: MIT
NVME, VIRTIO = 0x80, 0x88  # 00:10.0 and 00:11.0
NVME_BAR, VIRTIO_BAR = 0xFEBF0000, 0xFEBF8000
NVME_SPACE, MEMORY_SPACE = 0x5500AA00, 0x5500BB00
VDEV, VQ = 0x5500C000, 0x5500D000
NAMES = {NVME: "00:10.0", VIRTIO: "00:11.0"}

TO_DEVICE, FROM_DEVICE, BOTH = 1, 2, 3
READ, WRITE, FLUSH, ADMIN = 1, 2, 3, 6
SQ, CQ, SPLIT = 1, 2, 3
CODE, TABLE, PRIVATE = 1, 2, 3
KERNEL = 0x40000000  # where its code lies
ALL_FEATURES = 0x3F
MARKERS = {
    "hello": 0x01, "goodbye": 0x02, "device": 0x08, "device_release": 0x09, "device_reset": 0x0A, "device_dead": 0x0B, "dma_map": 0x10, "dma_unmap": 0x11,
    "dma_quarantine": 0x12, "dma_fault": 0x13, "memory_protect": 0x14, "memory_unprotect": 0x15, "queue_create": 0x20, "queue_areas": 0x21, "queue_delete": 0x22, "doorbell": 0x23, "queue_suspend": 0x24,
    "queue_resume": 0x25,
    "command_submit": 0x30, "command_complete": 0x31, "command_timeout": 0x32, "command_failed": 0x33, "command_refused": 0x34,
    "command_abort": 0x35, "command_abort_end": 0x36, "command_repeat": 0x37,
    "durable_begin": 0x40, "durable_end": 0x41, "wait_begin": 0x50, "wait_end": 0x51,
    "recovery_begin": 0x60, "recovery_step": 0x61, "recovery_end": 0x62,
    "shootdown_begin": 0x70, "shootdown_end": 0x71, "frames_release": 0x72,
}
SECOND = 1_000_000_000  # nanoseconds


class Log:
    """One log. Times are microseconds; every line takes 10 of them."""

    def __init__(self, about):
        self.lines = [f"# {about}"]
        self.time = 1_795_231_757_000_000
        self.mapping = 0x100
        self.element = 0
        self.tail = {}
        self.head = {}

    def line(self, text, thread=501):
        self.time += 10
        self.lines.append(f"{thread}@{self.time // 1_000_000}.{self.time % 1_000_000:06}:{text}")

    def sleep(self, seconds):
        self.time += int(seconds * 1_000_000)

    def expect(self, rule, device=None, address=None, length=None):
        """The next line breaks `rule`."""
        where = NAMES.get(device, "-")
        self.lines.append(f"# expect {rule} {where} {'-' if address is None else hex(address)} {'-' if length is None else length}")

    def tell(self, what, device):
        """The next line gives an entry of the time line."""
        self.lines.append(f"# timeline {what.replace(' ', '_')} {NAMES[device]}")

    def mark(self, name, *values, cpu=0, pc=None):
        number = MARKERS[name]
        values = list(values) + [0] * (6 - len(values))
        pc = 0xFFFFFFFF80100000 + number * 16 if pc is None else pc
        self.line(f"paravane_marker cpu {cpu} pc {pc:#x} number {number:#x} args " + " ".join(f"{v:#x}" for v in values))

    def write(self, address, value, name="nvme", size=4, cpu=0):
        self.line(f"memory_region_ops_write cpu {cpu} mr 0x5500{len(name):04x} addr {address:#x} value {value:#x} size {size} name '{name}'")

    def read(self, address, value, name="nvme", size=4, cpu=0):
        self.line(f"memory_region_ops_read cpu {cpu} mr 0x5500{len(name):04x} addr {address:#x} value {value:#x} size {size} name '{name}'")

    # The machine and its devices.

    def boot(self):
        self.line("pci_update_mappings_add nvme 00:10.0 0,0xfebf0000+0x4000")
        self.line("pci_update_mappings_add virtio-blk-pci 00:11.0 4,0xfebf8000+0x4000")

    def hello(self, features=ALL_FEATURES, slack=SECOND // 10):
        self.mark("hello", 0x10000, features, slack, 1)

    def set_cc(self, value, ready):
        """Writes a controller's CC; CSTS.RDY is then read as `ready`."""
        self.write(NVME_BAR + 0x14, value)
        self.read(NVME_BAR + 0x1C, ready)

    def start_nvme(self, entries=8, markers=True):
        """A controller with an admin queue (8 entries) and I/O queue 1."""
        if markers:
            self.mark("device", NVME, 1, NVME_BAR, 0x4000)
            self.map(NVME, 0x10000, 0x1000, TO_DEVICE)
            self.map(NVME, 0x11000, 0x1000, FROM_DEVICE)
            self.mark("queue_create", NVME, SQ, 0, 8, 0x10000)
            self.mark("queue_create", NVME, CQ, 0, 8, 0x11000)
        self.set_cc(0, 0)
        self.write(NVME_BAR + 0x24, 0x70007)
        self.write(NVME_BAR + 0x28, 0x10000)
        self.write(NVME_BAR + 0x30, 0x11000)
        self.set_cc(0x460001, 1)
        if markers:
            self.map(NVME, 0x12000, 0x1000, TO_DEVICE)
            self.map(NVME, 0x13000, 0x1000, FROM_DEVICE)
            self.mark("queue_create", NVME, CQ, 1, entries, 0x13000)
            self.mark("queue_create", NVME, SQ, 1, entries, 0x12000)
        self.admin(0, 5, [f"pci_nvme_create_cq create completion queue, addr=0x13000, cqid=1, vector=1, qsize={entries - 1}, qflags=3, ien=1"], markers)
        self.admin(1, 1, [f"pci_nvme_create_sq create submission queue, addr=0x12000, sqid=1, cqid=1, qsize={entries - 1}, qflags=1"], markers)

    def admin(self, command, opcode, events=(), markers=True):
        if markers:
            self.mark("command_submit", NVME, 0, command, ADMIN, 5 * SECOND)
        self.ring(0, 8, markers)
        self.line(f"pci_nvme_admin_cmd cid {command} sqid 0 opc {opcode:#x} opname 'ADMIN'", 500)
        for event in events:
            self.line(event, 500)
        self.line(f"pci_nvme_enqueue_req_completion cid {command} cqid 0 dw0 0x0 dw1 0x0 status 0x0", 500)
        self.answer(0, 8)
        if markers:
            self.mark("command_complete", NVME, 0, command, 0)

    def ring(self, queue, entries=8, markers=True, by=1):
        self.tail[queue] = (self.tail.get(queue, 0) + by) % entries
        if markers:
            self.mark("doorbell", NVME, SQ, queue, self.tail[queue])
        self.write(NVME_BAR + 0x1000 + 8 * queue, self.tail[queue])

    def answer(self, queue, entries=8):
        self.head[queue] = (self.head.get(queue, 0) + 1) % entries
        self.write(NVME_BAR + 0x1004 + 8 * queue, self.head[queue])

    def stop_nvme(self, markers=True):
        if markers:
            self.mark("device_reset", NVME, 2)
        self.set_cc(0x460000, 0)
        if markers:
            self.mark("device_release", NVME)
            for bus in (0x10000, 0x11000, 0x12000, 0x13000):
                self.unmap(NVME, bus)

    def start_virtio(self, markers=True, features=0x244):
        common = "virtio-pci-common-virtio-blk"
        if markers:
            self.mark("device", VIRTIO, 2, VIRTIO_BAR, 0x4000)
        for status in (0, 1, 3):
            self.write(VIRTIO_BAR + 0x14, status, common, 1)
            self.line(f"virtio_set_status vdev {VDEV:#x} val {status}")
        self.write(VIRTIO_BAR + 0x08, 0, common)
        self.write(VIRTIO_BAR + 0x0C, features, common)
        if markers:
            self.map(VIRTIO, 0x20000, 0x3000, BOTH)
            self.mark("queue_areas", VIRTIO, 0, 0x21000, 0x22000)
            self.mark("queue_create", VIRTIO, SPLIT, 0, 128, 0x20000)
        for status in (0xB, 0xF):
            self.write(VIRTIO_BAR + 0x14, status, common, 1)
            self.line(f"virtio_set_status vdev {VDEV:#x} val {status}")

    def stop_virtio(self):
        self.mark("device_reset", VIRTIO, 2)
        self.write(VIRTIO_BAR + 0x14, 0, "virtio-pci-common-virtio-blk", 1)
        self.line(f"virtio_set_status vdev {VDEV:#x} val 0")
        self.read(VIRTIO_BAR + 0x14, 0, "virtio-pci-common-virtio-blk", 1)
        self.mark("device_release", VIRTIO)
        self.unmap(VIRTIO, 0x20000)

    def goodbye(self, status=0):
        self.mark("goodbye", status)

    # Memory.

    def map(self, device, bus, length, direction, physical=None, pc=None):
        if not hasattr(self, "mappings"):
            self.mappings = {}
        self.mapping += 1
        self.mappings[device, bus] = (self.mapping, length)
        self.mark("dma_map", device, self.mapping, bus, bus if physical is None else physical, length, direction, pc=pc)

    def unmap(self, device, bus):
        mapping, length = self.mappings[device, bus]
        self.mark("dma_unmap", device, mapping, bus, length)

    # Commands.

    def submit(self, device, command, operation, deadline=2 * SECOND, queue=None):
        self.mark("command_submit", device, (1 if device == NVME else 0) if queue is None else queue, command, operation, deadline)

    def take_nvme(self, command, operation, pages, markers=True, entries=8):
        """Doorbell, and what QEMU does with a read, write or flush of whole pages."""
        self.ring(1, entries, markers)
        self.fetch_nvme(command, operation, pages)

    def fetch_nvme(self, command, operation, pages, prp2=0):
        opcode = {READ: 2, WRITE: 1, FLUSH: 0}[operation]
        size = 4096 * len(pages)
        self.line(f"pci_nvme_io_cmd cid {command} nsid 0x1 sqid 1 opc {opcode:#x} opname 'IO'", 500)
        if operation == FLUSH:
            self.line("pci_nvme_flush_ns nsid 0x1", 500)
            return
        if operation == READ:
            self.line(f"pci_nvme_read cid {command} nsid 1 nlb {size // 512} count {size} lba 0x0", 500)
        else:
            self.line(f"pci_nvme_write cid {command} opname 'IO' nsid 1 nlb {size // 512} count {size} lba 0x0", 500)
        second = prp2 or (pages[1] if len(pages) == 2 else 0)
        self.line(f"pci_nvme_map_prp trans_len 4096 len {size} prp1 {pages[0]:#x} prp2 {second:#x} num_prps {len(pages) + 1}", 500)
        for page in pages:
            self.line(f"pci_nvme_map_addr addr {page:#x} len 4096", 500)
        for page in pages:
            self.line(f"address_space_map as:{NVME_SPACE:#x} addr {page:#x}:1000 write:{int(operation == READ)} attrs:0x0", 500)

    def fetch_breaking(self, rule, address, length, command, operation, pages, prp2=0, at=None):
        """As fetch_nvme; the line with `at` in it, or the first access to `address`, breaks `rule`."""
        before = len(self.lines)
        self.fetch_nvme(command, operation, pages, prp2)
        at = at or f"map_addr addr {address & ~0xFFF:#x}"
        line = next(i for i in range(before, len(self.lines)) if at in self.lines[i])
        self.lines.insert(line, f"# expect {rule} {NAMES[NVME]} {address:#x} {length}")

    def complete_nvme(self, command, status=0, markers=True, entries=8):
        self.line(f"pci_nvme_enqueue_req_completion cid {command} cqid 1 dw0 0x0 dw1 0x0 status {status:#x}", 500)
        self.answer(1, entries)
        if markers:
            self.mark("command_complete", NVME, 1, command, status)

    def take_virtio(self, operation, parts, sectors=8):
        """Kick, and what QEMU does: `parts` are (address, length, device_writes)."""
        self.mark("doorbell", VIRTIO, SPLIT, 0, self.element + 1)
        self.element += 1
        self.line(f"virtio_queue_notify vdev {VDEV:#x} n 0 vq {VQ:#x}", 500)
        self.pop_virtio(operation, parts, sectors)

    def pop_virtio(self, operation, parts, sectors=8, breaks=None):
        """`breaks`: by the number of a part, what (rule, address, length) the device's access to it breaks."""
        element = 0x5500E000 + 0x100 * self.element
        for number, (address, length, writes) in enumerate(parts):
            if breaks and number in breaks:
                rule, *place = breaks[number]
                self.expect(rule, VIRTIO, *place)
            self.line(f"address_space_map as:{MEMORY_SPACE:#x} addr {address:#x}:{length:x} write:{writes} attrs:0x0", 500)
        writes = sum(part[2] for part in parts)
        self.line(f"virtqueue_pop vq {VQ:#x} elem {element:#x} in_num {writes} out_num {len(parts) - writes}", 500)
        if operation in (READ, WRITE):
            word = "read" if operation == READ else "write"
            self.line(f"virtio_blk_handle_{word} vdev {VDEV:#x} req {element:#x} sector 0 nsectors {sectors}", 500)
        return element

    def complete_virtio(self, command, status=0, element=None, told=None):
        element = 0x5500E000 + 0x100 * (self.element if element is None else element)
        self.line(f"virtio_blk_req_complete vdev {VDEV:#x} req {element:#x} status {status}", 500)
        if told:
            self.tell(told, VIRTIO)
        self.line(f"virtqueue_fill vq {VQ:#x} elem {element:#x} len 1 idx 0", 500)
        self.line(f"virtqueue_flush vq {VQ:#x} count 1", 500)
        self.line(f"virtio_notify vdev {VDEV:#x} vq {VQ:#x}", 500)
        self.mark("command_complete", VIRTIO, 0, command, status)

    # Whole and clean.

    def nvme(self, command, operation, bus, pages=1):
        """A command from mapping to unmapping."""
        if operation != FLUSH:
            self.map(NVME, bus, 4096 * pages, FROM_DEVICE if operation == READ else TO_DEVICE)
        self.submit(NVME, command, operation)
        self.take_nvme(command, operation, [bus + 4096 * i for i in range(pages)])
        self.complete_nvme(command)
        if operation != FLUSH:
            self.unmap(NVME, bus)

    def virtio(self, command, operation, bus):
        self.map(VIRTIO, bus + 0x1000, 0x11, BOTH)  # header and status
        header, status = (bus + 0x1000, 16, 0), (bus + 0x1010, 1, 1)
        parts = [header, status]
        if operation != FLUSH:
            self.map(VIRTIO, bus, 4096, FROM_DEVICE if operation == READ else TO_DEVICE)
            parts = [header, (bus, 4096, int(operation == READ)), status]
        self.submit(VIRTIO, command, operation)
        self.take_virtio(operation, parts)
        self.complete_virtio(command)
        if operation != FLUSH:
            self.unmap(VIRTIO, bus)
        self.unmap(VIRTIO, bus + 0x1000)

    def begin(self):
        """Firmware, then a guest that drives both disks."""
        self.boot()
        self.start_nvme(markers=False)  # SeaBIOS reads a sector: before hello
        self.take_nvme(7, READ, [0x9000], markers=False)
        self.complete_nvme(7, markers=False)
        self.write(NVME_BAR + 0x14, 0)
        self.tail, self.head = {}, {}
        self.hello()
        self.mark("memory_protect", KERNEL, 0x200000, CODE)
        self.mark("memory_protect", KERNEL + 0x400000, 0x1000, TABLE)
        self.start_nvme()
        self.start_virtio()

    def work(self):
        for i in range(3):
            self.nvme(i, WRITE, 0x100000 + 0x10000 * i, 2)
            self.virtio(i, WRITE, 0x200000 + 0x10000 * i)
        self.mark("durable_begin", NVME, 1)
        self.nvme(3, FLUSH, 0)
        self.mark("durable_end", NVME, 1, 0)
        self.mark("durable_begin", VIRTIO, 2)
        self.virtio(3, FLUSH, 0x280000)
        self.mark("durable_end", VIRTIO, 2, 0)
        self.mark("wait_begin", 1, 2, SECOND, 0xFFFF800000001000)
        self.mark("wait_end", 1, 0)
        self.nvme(4, READ, 0x300000)
        self.virtio(4, READ, 0x310000)

    def end(self):
        self.stop_nvme()
        self.stop_virtio()
        self.goodbye()

    def text(self):
        return "\n".join(self.lines) + "\n"
