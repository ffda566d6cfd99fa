// Copies of domains: what of a description stays, what changes, what is refused, and that libvirt takes the
// rest.
// SPDX-License-Identifier: MIT
#include "domain/clone.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <pugixml.hpp>
#include <string>

namespace pv::domain {
namespace {

using testing::HasSubstr;

// As `virsh dumpxml --inactive` prints a server of virt-install's, with more devices than most.
constexpr std::string_view server =
    R"(<domain type='kvm' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
  <name>web</name>
  <uuid>4dea22b3-1d52-d8f3-2516-782e98ab3fa0</uuid>
  <metadata><x:info xmlns:x='http://x/'/></metadata>
  <memory unit='MiB'>1024</memory>
  <currentMemory unit='KiB'>1048576</currentMemory>
  <memoryBacking><hugepages/></memoryBacking>
  <vcpu placement='static' cpuset='0-3'>2</vcpu>
  <cputune><vcpupin vcpu='0' cpuset='1'/></cputune>
  <os>
    <type arch='x86_64' machine='q35'>hvm</type>
    <loader readonly='yes' type='pflash'>/usr/share/OVMF/OVMF_CODE_4M.fd</loader>
    <nvram>/var/lib/libvirt/qemu/nvram/web_VARS.fd</nvram>
    <boot dev='hd'/>
  </os>
  <features><acpi/><apic/><hyperv mode='custom'><relaxed state='on'/></hyperv><ioapic driver='kvm'/></features>
  <cpu mode='host-passthrough' check='none' migratable='on'>
    <topology sockets='1' dies='1' cores='2' threads='1'/>
    <feature policy='require' name='vmx'/>
  </cpu>
  <clock offset='utc'><timer name='rtc' tickpolicy='catchup'/><timer name='kvmclock' present='yes'/></clock>
  <on_poweroff>destroy</on_poweroff>
  <on_reboot>restart</on_reboot>
  <on_crash>restart</on_crash>
  <devices>
    <emulator>/usr/bin/kvm</emulator>
    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2' cache='none' io='native' discard='unmap'/>
      <source file='/srv/web.qcow2'/>
      <backingStore type='file'><format type='raw'/><source file='/srv/base.img'/><backingStore/></backingStore>
      <target dev='vda' bus='virtio'/>
      <address type='pci' domain='0x0000' bus='0x04' slot='0x00' function='0x0'/>
    </disk>
    <disk type='block' device='disk'>
      <source dev='/dev/vg/data'/>
      <target dev='sdb' bus='sata'/>
      <shareable/>
    </disk>
    <disk type='file' device='cdrom'>
      <driver name='qemu' type='raw'/>
      <source file='/srv/debian.iso'/>
      <target dev='sda' bus='sata'/>
    </disk>
    <controller type='pci' index='0' model='pcie-root'/>
    <controller type='pci' index='4' model='pcie-root-port'/>
    <interface type='bridge'>
      <mac address='52:54:00:11:22:33'/>
      <source bridge='br0'/>
      <model type='virtio'/>
      <driver name='vhost' queues='2'/>
      <address type='pci' domain='0x0000' bus='0x01' slot='0x00' function='0x0'/>
    </interface>
    <serial type='pty'><target type='isa-serial' port='0'/></serial>
    <console type='pty'><target type='serial' port='0'/></console>
    <channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>
    <graphics type='spice' autoport='yes'/>
    <video><model type='qxl' ram='65536'/></video>
    <hostdev mode='subsystem' type='pci' managed='yes'><source><address domain='0x0000' bus='0x06' slot='0x12' function='0x5'/></source></hostdev>
    <filesystem type='mount'><source dir='/srv/shared'/><target dir='shared'/></filesystem>
    <rng model='virtio'><backend model='random'>/dev/random</backend></rng>
    <tpm model='tpm-crb'><backend type='emulator' version='2.0'/></tpm>
  </devices>
  <seclabel type='dynamic' model='apparmor' relabel='yes'/>
  <qemu:commandline><qemu:arg value='-drive'/><qemu:arg value='file=/srv/secret.img,if=none'/></qemu:commandline>
</domain>)";

std::string replaced(std::string_view what, std::string_view with) {
    std::string text(server);
    const std::size_t place = text.find(what);
    EXPECT_NE(place, std::string::npos) << what;
    return text.replace(place, what.size(), with);
}

CloneFiles files() {
    return {
        .name = "paravane-copy", .overlays = {"/run/o0.qcow2", "/run/o1.qcow2"}, .nvram = "/run/nvram.fd"};
}

Wiring wiring() {
    Wiring result;
    result.emulator = "/usr/bin/qemu-system-x86_64";
    result.console = "/run/console";
    result.monitor = "/run/qmp";
    result.log = "/run/trace";
    result.log_items = "plugin";
    result.plugin = "/run/plugin.so";
    return result;
}

// The copy's XML, parsed.
struct Copy {
    explicit Copy(std::string_view original) {
        text = clone_xml(read_clone(std::string(original)).value(), files(), wiring()).value();
        EXPECT_TRUE(document.load_string(text.c_str()));
        domain = document.child("domain");
        devices = domain.child("devices");
    }

    std::string text;
    pugi::xml_document document;
    pugi::xml_node domain;
    pugi::xml_node devices;
};

TEST(Clone, IsUnderstood) {
    const Clone clone = read_clone(std::string(server)).value();
    EXPECT_EQ(clone.original, "web");
    EXPECT_EQ(clone.cpus, 2U);
    EXPECT_EQ(clone.memory, std::uint64_t{1} << 30);
    EXPECT_EQ(clone.nvram, "/var/lib/libvirt/qemu/nvram/web_VARS.fd");
    ASSERT_EQ(clone.disks.size(), 2U);
    EXPECT_EQ(clone.disks[0].target, "vda");
    EXPECT_EQ(clone.disks[0].image, "/srv/web.qcow2");
    EXPECT_EQ(clone.disks[0].format, "qcow2");
    EXPECT_EQ(clone.disks[0].kind, "virtio-blk");
    EXPECT_EQ(clone.disks[0].bdf, 0x400U);
    EXPECT_EQ(clone.disks[1].image, "/dev/vg/data");
    EXPECT_EQ(clone.disks[1].format, "raw");
    EXPECT_EQ(clone.disks[1].bdf, std::nullopt);
    ASSERT_EQ(clone.cards.size(), 1U);
    EXPECT_EQ(clone.cards[0].bdf, 0x100U);
    EXPECT_THAT(clone.left_out,
                testing::IsSupersetOf({HasSubstr("hostdev"), HasSubstr("filesystem"), HasSubstr("tpm"),
                                       HasSubstr("no link"), HasSubstr("arguments for QEMU")}));
}

TEST(Clone, TouchesNothingOfTheOriginal) {
    const Copy copy(server);
    // Nothing is left that leads to what the original writes, listens on or is known by.
    for (const char* trace :
         {"/srv/web.qcow2", "/srv/base.img", "/dev/vg/data", "/srv/secret.img", "br0", "4dea22b3",
          "web_VARS.fd", "/srv/shared", "hostdev", "hugepages", "spice", "guest_agent", "pty"}) {
        EXPECT_THAT(copy.text, testing::Not(HasSubstr(trace)));
    }
    const pugi::xml_node disk = copy.devices.child("disk");
    EXPECT_STREQ(disk.child("source").attribute("file").value(), "/run/o0.qcow2");
    EXPECT_STREQ(disk.child("driver").attribute("type").value(), "qcow2");
    EXPECT_FALSE(disk.child("driver").attribute("cache"));
    EXPECT_STREQ(disk.child("driver").attribute("discard").value(), "unmap");
    const pugi::xml_node second = disk.next_sibling("disk");
    EXPECT_STREQ(second.attribute("type").value(), "file");
    EXPECT_STREQ(second.child("source").attribute("file").value(), "/run/o1.qcow2");
    const pugi::xml_node optical = second.next_sibling("disk");
    EXPECT_STREQ(optical.child("source").attribute("file").value(), "/srv/debian.iso");
    EXPECT_TRUE(optical.child("readonly"));
    EXPECT_STREQ(copy.domain.child("os").child_value("nvram"), "/run/nvram.fd");
}

TEST(Clone, ReachesNoNetwork) {
    const Copy copy(server);
    const pugi::xml_node card = copy.devices.child("interface");
    EXPECT_STREQ(card.attribute("type").value(), "user");
    EXPECT_STREQ(card.child("link").attribute("state").value(), "down");
    EXPECT_STREQ(card.child("mac").attribute("address").value(), "52:54:00:11:22:33");
    EXPECT_FALSE(card.child("source"));
    EXPECT_FALSE(card.child("driver").attribute("name"));
}

TEST(Clone, RunsTranslatedAndWatched) {
    const Copy copy(server);
    EXPECT_STREQ(copy.domain.attribute("type").value(), "qemu");
    EXPECT_STREQ(copy.domain.child_value("name"), "paravane-copy");
    const pugi::xml_node cpu = copy.domain.child("cpu");
    EXPECT_STREQ(cpu.attribute("mode").value(), "maximum");
    EXPECT_FALSE(cpu.child("feature"));
    EXPECT_STREQ(cpu.child("topology").attribute("cores").value(), "2");
    EXPECT_FALSE(copy.domain.child("features").child("hyperv"));
    EXPECT_STREQ(copy.domain.child("features").child("ioapic").attribute("driver").value(), "qemu");
    EXPECT_STREQ(copy.domain.child("clock").child("timer").attribute("name").value(), "rtc");
    EXPECT_FALSE(copy.domain.child("clock").child("timer").next_sibling("timer"));
    for (const char* event : {"on_poweroff", "on_reboot", "on_crash"}) {
        EXPECT_STREQ(copy.domain.child(event).text().get(), "destroy") << event;
    }
    const pugi::xml_node serial = copy.devices.child("serial");
    EXPECT_STREQ(serial.attribute("type").value(), "unix");
    EXPECT_FALSE(serial.next_sibling("serial"));
    EXPECT_STREQ(copy.devices.child("video").child("model").attribute("type").value(), "vga");
    EXPECT_STREQ(copy.devices.child_value("emulator"), "/usr/bin/qemu-system-x86_64");
    EXPECT_THAT(copy.text, HasSubstr("file=/run/plugin.so"));
    // The guest sees its devices where they were.
    EXPECT_STREQ(copy.devices.child("disk").child("address").attribute("bus").value(), "0x04");
}

TEST(Clone, WithoutVariablesTheFirmwareMakesItsOwn) {
    CloneFiles none = files();
    none.nvram.clear();
    const std::string text = clone_xml(read_clone(std::string(server)).value(), none, wiring()).value();
    EXPECT_THAT(text, testing::Not(HasSubstr("<nvram")));
}

TEST(Clone, RefusesWhatCannotBeLaidOver) {
    const auto refused = [](const std::string& xml) {
        const auto clone = read_clone(xml);
        EXPECT_FALSE(clone.has_value()) << xml.substr(0, 80);
        return clone.has_value() ? std::string() : clone.error().message;
    };
    EXPECT_THAT(refused(replaced("type='file' device='disk'", "type='network' device='disk'")),
                HasSubstr("'vda'"));
    EXPECT_THAT(refused(replaced("file='/srv/web.qcow2'", "file='nbd://10.0.0.1/x'")), HasSubstr("absolute"));
    EXPECT_THAT(refused(replaced("<source file='/srv/web.qcow2'/>",
                                 "<source file='/srv/web.qcow2'><encryption format='luks'/></source>")),
                HasSubstr("encrypted"));
    EXPECT_THAT(refused(replaced("type='kvm'", "type='lxc'")), HasSubstr("QEMU"));
    EXPECT_THAT(refused(replaced("arch='x86_64'", "arch='aarch64'")), HasSubstr("x86-64"));
    EXPECT_THAT(refused(replaced("'MiB'>1024", "'MiB'>99999999999999999")), HasSubstr("memory"));
    EXPECT_THAT(refused(replaced("cpuset='0-3'>2<", "cpuset='0-3'>-2<")), HasSubstr("processors"));
    EXPECT_THAT(refused("<domain type='kvm'"), HasSubstr("no XML"));
    EXPECT_THAT(refused("<network/>"), HasSubstr("<domain>"));
    EXPECT_THAT(refused(""), HasSubstr("no"));
}

TEST(Clone, RefusesPathsThatXmlCannotCarry) {
    CloneFiles bad = files();
    bad.overlays[0] = "/run/a\x01";
    EXPECT_FALSE(clone_xml(read_clone(std::string(server)).value(), bad, wiring()).has_value());
}

}  // namespace
}  // namespace pv::domain
