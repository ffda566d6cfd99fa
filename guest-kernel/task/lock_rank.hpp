// The one order in which locks are taken. A lock may be taken only while every lock held has a lower rank.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string_view>

namespace pv::task {

/// Outermost first. Sleeping locks come before all spinning ones: nobody sleeps with a spinlock held.
/// Add a rank where it belongs; the numbers matter only by their order, and stay below 64.
enum class Rank : std::uint8_t {
    // sleeping (Mutex)
    exercise = 1,         ///< the workload's own books
    file_position = 2,    ///< an open file's position, for the length of a read or write
    file = 3,             ///< a file's contents against other writers, a pipe, a terminal
    ipc_contents = 4,     ///< what one semaphore set or message queue holds: /proc reads it
    device_registry = 6,  ///< lists of devices
    block_device = 8,     ///< a block device as a whole: recovery, shutdown
    controller = 10,      ///< a controller's admin work
    user_space = 11,      ///< a program's address space: page faults take it, with files' locks held too
    sleeping_leaf = 12,   ///< timers' turns, tests; taken last of the sleeping ones

    // spinning (SpinLock), interrupts off while held
    context = 14,        ///< where a process stands: root and current directory
    descriptors = 15,    ///< a process's table of descriptors
    mounts = 16,         ///< which file systems are where
    file_tree = 17,      ///< names of one file system
    file_pages = 18,     ///< pages of one file
    terminal = 19,       ///< what was typed on one terminal
    queue = 20,          ///< a submission queue or virtqueue: slots, rings
    sockets = 21,        ///< which open files are on their way through sockets
    socket = 22,         ///< what waits in one socket
    notify = 23,         ///< who watches which files (inotify), and what they were told
    dma = 24,            ///< mappings of devices and the quarantine
    ipc = 25,            ///< which System V objects there are; whose a segment is
    iommu = 26,          ///< an IOMMU's queue of commands
    process = 27,        ///< the tree of processes, their signals
    interrupt = 28,      ///< the table of interrupt vectors
    epoll_list = 29,     ///< which epoll instances there are
    poll = 30,           ///< who watches the readiness of one file
    epoll = 31,          ///< what one epoll instance watches, and what of it is ready
    epoll_poll = 32,     ///< who watches one epoll instance
    wait_queue = 33,     ///< the waiters of one wait queue
    thread = 34,         ///< a thread's end and its joiner
    scheduler = 36,      ///< a CPU's run queues and timers
    kernel_space = 38,   ///< which kernel addresses are given out
    slab = 40,           ///< a slab cache's lists
    address_space = 44,  ///< kernel page tables above the direct map
    shootdown = 45,      ///< whose turn it is to ask all CPUs to forget translations
    frame_stock = 47,    ///< the frames one CPU has at hand
    frames = 48,         ///< the buddy allocator
    terminal_list = 50,  ///< which terminals there are
    leaf = 52,           ///< guards a few words, takes nothing inside
    console = 60,        ///< the serial port: anything may log
};

constexpr std::string_view to_string(Rank rank) {
    switch (rank) {
        case Rank::exercise:
            return "exercise";
        case Rank::device_registry:
            return "device registry";
        case Rank::block_device:
            return "block device";
        case Rank::controller:
            return "controller";
        case Rank::user_space:
            return "user space";
        case Rank::sleeping_leaf:
            return "sleeping leaf";
        case Rank::file_position:
            return "file position";
        case Rank::file:
            return "file";
        case Rank::ipc_contents:
            return "contents of a System V object";
        case Rank::context:
            return "context";
        case Rank::descriptors:
            return "descriptors";
        case Rank::mounts:
            return "mounts";
        case Rank::file_tree:
            return "file tree";
        case Rank::terminal:
            return "terminal";
        case Rank::file_pages:
            return "file pages";
        case Rank::epoll_list:
            return "epoll list";
        case Rank::epoll_poll:
            return "epoll's poll";
        case Rank::poll:
            return "poll";
        case Rank::epoll:
            return "epoll";
        case Rank::queue:
            return "queue";
        case Rank::sockets:
            return "sockets";
        case Rank::socket:
            return "socket";
        case Rank::notify:
            return "notify";
        case Rank::dma:
            return "dma";
        case Rank::ipc:
            return "ipc";
        case Rank::iommu:
            return "iommu";
        case Rank::interrupt:
            return "interrupt";
        case Rank::wait_queue:
            return "wait queue";
        case Rank::process:
            return "process";
        case Rank::thread:
            return "thread";
        case Rank::scheduler:
            return "scheduler";
        case Rank::kernel_space:
            return "kernel space";
        case Rank::slab:
            return "slab";
        case Rank::address_space:
            return "address space";
        case Rank::shootdown:
            return "shootdown";
        case Rank::frame_stock:
            return "frame stock";
        case Rank::frames:
            return "frames";
        case Rank::terminal_list:
            return "terminal list";
        case Rank::leaf:
            return "leaf";
        case Rank::console:
            return "console";
    }
    return "unknown";
}

constexpr bool may_sleep_holding(Rank rank) {
    return rank < Rank::context;
}

}  // namespace pv::task
