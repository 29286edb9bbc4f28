// SPDX-License-Identifier: Apache-2.0
//
// Files are copied, over and over, on a disk that fails. Whatever happens on the way, the process
// killed and the power gone, the source is as it was, and a target is not there or all there; it is
// once a copy was told to be done.
//
//     unlink part ─▶ open source, part ─▶ (read, write)* ─▶ fsync ─▶ rename ─▶ fsync of directory
//          ▲                                                any failure │
//          └─────────────────────────────── rest ◀── close both ◀───────┘
//
// Who copies may be killed while the disk has an op of its own that does not end, and its successor
// works on meanwhile. So each attempt has a part of its own, which nobody else's rename moves.

#include <errno.h>
#include <string.h>

#include "core/format.h"
#include "sched/ctx.h"
#include "sim/disk.h"
#include "sim/scenarios.h"

#define SHARDS_MAX   2u
#define COPIES       8u // of each file
#define SOURCE_BYTES 5000u
#define PIECE_BYTES  512u
#define NAME_BYTES   32u
#define COPIERS      3u // the slot of one whose op does not end is lost until it does

typedef struct copied_file {
    char source[NAME_BYTES];
    char targets[COPIES][NAME_BYTES];
    char part[NAME_BYTES];
    uint8_t bytes[SOURCE_BYTES];
    uint32_t byte_count;
    uint32_t copies; // told to be done
    uint32_t attempts;
} copied_file;

typedef struct copy_state {
    copied_file files[SHARDS_MAX];
} copy_state;

typedef enum copy_step {
    STEP_REST, // a timer is set
    STEP_CLEAR,
    STEP_OPEN_SOURCE,
    STEP_OPEN_PART,
    STEP_READ,
    STEP_WRITE,
    STEP_SYNC,
    STEP_RENAME,
    STEP_OPEN_DIRECTORY,
    STEP_SYNC_DIRECTORY,
    STEP_CLOSE, // one after the other
} copy_step;

typedef struct copier {
    copied_file *file;
    copy_step step;
    tina_fd source;
    tina_fd part;
    tina_fd directory;
    uint64_t copied;
    uint8_t piece[PIECE_BYTES];
} copier;

static uint32_t load(uint32_t most) {
    return tina_sim_load(tina_sim_current(), most);
}

static tina_effect rest(tina_ctx *ctx, copier *self) {
    self->step = STEP_REST;
    uint64_t rest_ns = tina_sim_draw(tina_sim_current(), 0, 100000000);
    if (tina_timer_set(ctx, rest_ns, 0).bits == 0)
        tina_sim_fail(tina_sim_current(), "copy", "no timer for a copier");
    return tina_receive();
}

static tina_effect copier_init(tina_ctx *ctx, void *self_, tina_bytes args) {
    copier *self = self_;
    copy_state *state = tina_sim_state(tina_sim_current());
    (void)args;
    self->file = &state->files[tina_shard_number(ctx)];
    return rest(ctx, self);
}

static tina_effect close_next(tina_ctx *ctx, copier *self) {
    tina_fd *fds[] = {&self->source, &self->part, &self->directory};
    self->step = STEP_CLOSE;
    for (uint32_t i = 0; i < 3; i++) {
        tina_fd fd = *fds[i];
        *fds[i] = tina_fd_none();
        if (!tina_fd_is_none(fd))
            return tina_io_close(fd);
    }
    return rest(ctx, self);
}

static tina_effect step_to(copier *self, copy_step step, tina_effect effect) {
    self->step = step;
    return effect;
}

static tina_effect read_next(copier *self) {
    return step_to(self, STEP_READ, tina_io_read(self->source, self->copied, PIECE_BYTES));
}

static tina_effect on_read(tina_ctx *ctx, copier *self, const tina_message *m) {
    if (m->io.result == 0)
        return step_to(self, STEP_SYNC, tina_io_fsync(self->part));
    uint32_t bytes = (uint32_t)m->io.result;
    memcpy(self->piece, tina_io_data(ctx, m), bytes);
    return step_to(self, STEP_WRITE, tina_io_write(self->part, self->copied, self->piece, bytes));
}

static void part_name(copied_file *file, uint32_t shard) {
    tina_format(file->part, NAME_BYTES, "/copies/%u.part.%u", shard, ++file->attempts);
}

static tina_effect on_done(tina_ctx *ctx, copier *self, const tina_message *m) {
    copied_file *file = self->file;
    switch (self->step) {
    case STEP_CLEAR:
        self->copied = 0;
        part_name(file, tina_shard_number(ctx));
        return step_to(self, STEP_OPEN_SOURCE, tina_io_open(file->source, TINA_OPEN_READ, 0));
    case STEP_OPEN_SOURCE:
        self->source = m->io.fd;
        return step_to(self, STEP_OPEN_PART,
                       tina_io_open(file->part,
                                    TINA_OPEN_WRITE | TINA_OPEN_CREATE | TINA_OPEN_EXCLUSIVE,
                                    0600));
    case STEP_OPEN_PART:
        self->part = m->io.fd;
        return read_next(self);
    case STEP_READ:
        return on_read(ctx, self, m);
    case STEP_WRITE:
        self->copied += m->io.bytes;
        return read_next(self);
    case STEP_SYNC:
        return step_to(self, STEP_RENAME, tina_io_rename(file->part, file->targets[file->copies]));
    case STEP_RENAME:
        return step_to(self, STEP_OPEN_DIRECTORY,
                       tina_io_open("/copies", TINA_OPEN_READ | TINA_OPEN_DIRECTORY, 0));
    case STEP_OPEN_DIRECTORY:
        self->directory = m->io.fd;
        return step_to(self, STEP_SYNC_DIRECTORY, tina_io_fsync(self->directory));
    case STEP_SYNC_DIRECTORY:
        self->file->copies++;
        return close_next(ctx, self);
    default: // a close
        return close_next(ctx, self);
    }
}

static tina_effect copier_handle(tina_ctx *ctx, void *self_, const tina_message *m) {
    copier *self = self_;
    switch (m->tag) {
    case TINA_SHUTDOWN:
        return tina_done();
    case TINA_TIMER:
        if (self->file->copies >= load(COPIES))
            return rest(ctx, self);
        return step_to(self, STEP_CLEAR, tina_io_unlink(self->file->part));
    default: {
        bool nothing_to_clear = self->step == STEP_CLEAR && m->io.result == -ENOENT;
        if (m->io.result < 0 && !nothing_to_clear)
            return close_next(ctx, self);
        return on_done(ctx, self, m);
    }
    }
}

// One that does nothing but crash now and then, and so ends the copier in the middle of an op.
static tina_effect restless_init(tina_ctx *ctx, void *self, tina_bytes args) {
    uint64_t period_ns = tina_sim_draw(tina_sim_current(), 3, 30000000) + 1000000;
    (void)self, (void)args;
    if (tina_timer_set_periodic(ctx, period_ns, 0).bits == 0)
        tina_sim_fail(tina_sim_current(), "copy", "no timer for a restless one");
    return tina_receive();
}

static tina_effect restless_handle(tina_ctx *ctx, void *self, const tina_message *m) {
    (void)ctx, (void)self;
    return m->tag == TINA_SHUTDOWN ? tina_done() : tina_receive();
}

static const tina_isolate_type copier_type = {
    .name = "copier",
    .init = copier_init,
    .handle = copier_handle,
    .struct_bytes = sizeof(copier),
};
static const tina_isolate_type restless_type = {
    .name = "restless",
    .init = restless_init,
    .handle = restless_handle,
    .struct_bytes = 8,
};
static const tina_child children[] = {{.type = &copier_type, .shutdown_ns = 100000000},
                                      {.type = &restless_type}};
static const tina_type_slots types[] = {{&copier_type, COPIERS}, {&restless_type, 1}};

static const tina_spec spec = {
    .name = "copy",
    .types = types,
    .type_count = 2,
    .root = {.name = "copy",
             .children = children,
             .child_count = 2,
             .strategy = TINA_ONE_FOR_ALL,
             .intensity = 10},
    .fd_count = 8,
    .op_count = 16,
    .buffer_count = 4,
    .buffer_bytes = PIECE_BYTES,
    .channel_bytes = 65536,
};

static void copy_begin(tina_sim *sim, void *state_) {
    copy_state *state = state_;
    for (uint32_t i = 0; i < tina_sim_shard_count(sim); i++) {
        copied_file *file = &state->files[i];
        tina_format(file->source, NAME_BYTES, "/sources/%u", i);
        for (uint32_t copy = 0; copy < COPIES; copy++)
            tina_format(file->targets[copy], NAME_BYTES, "/copies/%u.%u", i, copy);
        part_name(file, i);
        file->byte_count = (uint32_t)tina_sim_draw(sim, 1, load(SOURCE_BYTES) + 1);
        for (uint32_t at = 0; at < file->byte_count; at++)
            file->bytes[at] = (uint8_t)tina_sim_draw(sim, 2, 256);
        sim_disk *disk = tina_sim_disk(sim);
        int32_t made = sim_disk_write_file(disk, file->source, file->bytes, file->byte_count);
        int32_t way = sim_disk_make_directory(disk, "/copies");
        if (made < 0 || (way < 0 && way != -EEXIST))
            tina_sim_fail(sim, "copy", "the disk cannot be filled");
    }
}

static bool copy_done(tina_sim *sim, void *state_) {
    const copy_state *state = state_;
    for (uint32_t i = 0; i < tina_sim_shard_count(sim); i++)
        if (state->files[i].copies < load(COPIES))
            return false;
    return true;
}

static bool is_there(const sim_disk *disk, const char *name, const copied_file *file) {
    uint8_t bytes[SOURCE_BYTES];
    int64_t byte_count = sim_disk_read_file(disk, name, bytes, sizeof bytes);
    return byte_count == file->byte_count && memcmp(bytes, file->bytes, file->byte_count) == 0;
}

static void target_check(tina_sim *sim, const copied_file *file, uint32_t copy) {
    const sim_disk *disk = tina_sim_disk(sim);
    const char *target = file->targets[copy];
    bool absent = sim_disk_read_file(disk, target, NULL, 0) == -ENOENT;
    if (absent ? copy < file->copies : !is_there(disk, target, file))
        tina_sim_fail(sim, "copy target", "%s is not %s after %u copies", target, file->source,
                      file->copies);
}

static void copy_check(tina_sim *sim, void *state_) {
    const copy_state *state = state_;
    const sim_disk *disk = tina_sim_disk(sim);
    for (uint32_t i = 0; i < tina_sim_shard_count(sim); i++) {
        const copied_file *file = &state->files[i];
        if (!is_there(disk, file->source, file))
            tina_sim_fail(sim, "copy source", "%s is not what it was", file->source);
        for (uint32_t copy = 0; copy < COPIES; copy++)
            target_check(sim, file, copy);
    }
}

// What was told to be done outlives the power, whatever it takes with it.
static void copy_end(tina_sim *sim, void *state_) {
    sim_world *world = tina_sim_world(sim);
    world->faults = true;
    world->faults_until_ns = UINT64_MAX;
    world->settings.disk_torn_ppm = 1000000;
    sim_disk_crash(tina_sim_disk(sim));
    world->faults = false;
    copy_check(sim, state_);
}

// A rotten bit in what is read is copied: nothing tells.
const tina_scenario tina_scenario_copy = {
    .name = "copy",
    .specs = &spec,
    .spec_count = 1,
    .shards_min = 1,
    .shards_max = SHARDS_MAX,
    .settings = "disk_rot_ppm=calm",
    .restarts = true,
    .state_bytes = sizeof(copy_state),
    .begin = copy_begin,
    .done = copy_done,
    .check = copy_check,
    .end = copy_end,
};
