// The exercise of one disk: threads that write patterns, flush, read back and compare.
// SPDX-License-Identifier: MIT
#include "exercise/disk.hpp"

#include <algorithm>
#include <new>

#include "base/log.hpp"
#include "exercise/worker.hpp"
#include "task/thread.hpp"

namespace pv::exercise {

DiskExercise::DiskExercise(block::Device& disk, const Plan& plan) : disk_{disk}, plan_{plan}, begun_{now()} {}

DiskExercise::~DiskExercise() = default;

Result<std::unique_ptr<DiskExercise>> DiskExercise::start(block::Device& disk, const Plan& plan,
                                                          std::uint64_t number) {
    const block::Geometry& shape = disk.geometry();
    if (shape.read_only) {
        log::error("exercise: {} is read-only", disk.name());
        return fail(Error::not_supported);
    }
    // Each thread has blocks of its own; a small disk shrinks them, but everyone gets some.
    const std::uint64_t region = std::min(plan.blocks, shape.blocks / plan.threads);
    if (region == 0) {
        log::error("exercise: {} has {} blocks, too few for {} threads", disk.name(), shape.blocks,
                   plan.threads);
        return fail(Error::out_of_range);
    }
    std::unique_ptr<DiskExercise> exercise{new (std::nothrow) DiskExercise{disk, plan}};
    if (exercise == nullptr) {
        return fail(Error::out_of_memory);
    }
    for (std::uint64_t i = 0; i < plan.threads; ++i) {
        const Share share{
            .first = i * (shape.blocks / plan.threads),
            .blocks = region,
            .room = shape.blocks / plan.threads,
            .commands = plan.commands / plan.threads + (i < plan.commands % plan.threads ? 1 : 0),
            .number = number * plan.threads + i};
        std::unique_ptr<Worker> worker{new (std::nothrow) Worker{disk, plan, share}};
        if (worker == nullptr) {
            return fail(Error::out_of_memory);
        }
        PV_TRY(exercise->workers_.push_back(std::move(worker)));
    }
    for (std::unique_ptr<Worker>& worker : exercise->workers_) {
        if (const Result<> started = worker->start(); !started) {
            // Those that run use this object: it stays until they are done.
            (void)exercise->finish(Deadline::after(plan.limit));
            return fail(started.error());
        }
    }
    return exercise;
}

Result<Figures> DiskExercise::finish(Deadline deadline) {
    Figures total;
    for (std::unique_ptr<Worker>& worker : workers_) {
        if (const Result<> joined = worker->join(deadline); !joined) {
            log::error("exercise: {}: a thread does not come to its end", disk_.name());
            return fail(joined.error());
        }
        total.add(worker->figures());
    }
    total.repeated = disk_.counts().repeated;
    print(disk_.name(), workers_.size(), total, now() - begun_);
    return total;
}

}  // namespace pv::exercise
