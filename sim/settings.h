// SPDX-License-Identifier: Apache-2.0
//
// How rough a simulated world is: every number that chance has a say in. They are drawn from the
// seed (a swarm: each kind of fault is left out of half the runs, so that those left meet rarer
// company), can be printed, and each can be set.

#ifndef TINA_SIM_SETTINGS_H
#define TINA_SIM_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// X(name, calm, low, high): the value in a calm world, and the range that it is drawn from, evenly
// over the logarithm. Names ending in _ppm are chances per million; the others' units are in their
// names. What is said of a chance is of what it is taken once.
#define TINA_SIM_SETTINGS(X)                                                                       \
    /* Shards. schedule: 0 in turn, 1 shuffled, 2 by priorities that change (PCT) */               \
    X(schedule, 0, 0, 2)                                                                           \
    X(pct_changes, 3, 1, 10)                                                                       \
    X(turn_ns, 1000, 100, 100000)    /* a turn takes, at most */                                   \
    X(pause_ppm, 0, 10, 50000)       /* a turn: the shard stands still after it */                 \
    X(pause_ns, 0, 1000, 2000000000) /* ... for so long, at most */                                \
    X(drift_ppm, 0, 1, 1000)         /* shards' clocks run fast or slow, at most */                \
    X(step_ppm, 0, 1, 5000)          /* a turn: the shard's clock jumps ahead */                   \
    X(step_ns, 0, 1000, 5000000000)  /* ... by so much, at most */                                 \
    X(death_ppm, 0, 10, 5000)        /* a handler: its shard breaks with it, and is rebuilt */     \
    X(revive_ns, 1000000, 1000000,                                                                 \
      10000000000) /* a quarantined shard is revived after, at most */                             \
    /* Isolates */                                                                                 \
    X(init_crash_ppm, 0, 100, 200000)  /* an init: it crashes */                                   \
    X(crash_before_ppm, 0, 100, 50000) /* a handler: crashes before its first line */              \
    X(crash_during_ppm, 0, 100, 50000) /* ... at a call of ctx */                                  \
    X(crash_after_ppm, 0, 100, 50000)  /* ... after its last line */                               \
    /* Wires between shards */                                                                     \
    X(wire_ns, 0, 1, 10000000)           /* an item is under way, at most */                       \
    X(wire_loss_ppm, 0, 100, 200000)     /* a message: the receiver cannot take it */              \
    X(wire_clog_ppm, 0, 100, 50000)      /* an item: it and what follows waits */                  \
    X(wire_clog_ns, 0, 1000, 3000000000) /* ... for so long, at most */                            \
    /* Reactor */                                                                                  \
    X(io_ns, 1000, 100, 5000000)           /* from an op's result to its completion, at most */    \
    X(io_reorder_ppm, 0, 100, 500000)      /* a completion: overtakes others */                    \
    X(io_late_cancel_ppm, 0, 100, 500000)  /* a cancel: takes its time */                          \
    X(io_stage_max, 4096, 1, 4096)         /* ops that the backend takes at once */                \
    X(io_multishot_end_ppm, 0, 10, 200000) /* a result: the multishot op ends */                   \
    X(io_no_buffer_ppm, 0, 10, 50000)      /* a receive: ENOBUFS though there is one */            \
    /* Network */                                                                                  \
    X(net_ns, 50000, 1000, 50000000)        /* a segment is under way, at most */                  \
    X(net_split_ppm, 0, 1000, 1000000)      /* a segment: ends at any byte */                      \
    X(net_trickle_ppm, 0, 1000, 500000)     /* a connection: one byte at a time */                 \
    X(net_stall_ppm, 0, 10, 50000)          /* a segment: it and what follows waits */             \
    X(net_stall_ns, 0, 1000, 10000000000)   /* ... for so long, at most */                         \
    X(net_reset_ppm, 0, 1, 10000)           /* a segment: the connection is reset */               \
    X(net_refuse_ppm, 0, 100, 200000)       /* a connect: ECONNREFUSED */                          \
    X(net_unreachable_ppm, 0, 100, 100000)  /* a connect: never answered, ETIMEDOUT */             \
    X(net_accept_fail_ppm, 0, 100, 200000)  /* an accept: EMFILE or ECONNABORTED */                \
    X(net_buffer_bytes, 65536, 256, 262144) /* a socket holds in each direction */                 \
    X(net_partition_ppm, 0, 1, 500) /* a segment: two hosts are cut off, one way or both */        \
    X(net_partition_ns, 0, 1000000, 20000000000) /* ... for so long, at most */                    \
    X(udp_loss_ppm, 0, 100, 300000)              /* a datagram */                                  \
    X(udp_repeat_ppm, 0, 100, 100000)                                                              \
    X(udp_reorder_ppm, 0, 100, 300000)                                                             \
    /* Disk */                                                                                     \
    X(disk_ns, 20000, 1000, 20000000)       /* an op takes, at most */                             \
    X(disk_short_ppm, 0, 100, 200000)       /* a read or write: does less */                       \
    X(disk_error_ppm, 0, 10, 20000)         /* an op: EIO */                                       \
    X(disk_full_ppm, 0, 10, 10000)          /* a write: ENOSPC, and so are those after it */       \
    X(disk_full_ns, 0, 1000000, 5000000000) /* ... for so long, at most */                         \
    X(disk_torn_ppm, 0, 100000, 1000000)    /* at a crash, a write not synced: lost or torn */     \
    X(disk_rot_ppm, 0, 1, 1000)             /* a read: one bit is another */                       \
    /* The machine, of scenarios that bear it */                                                   \
    X(kill_ppm, 0, 10, 5000)  /* a turn: the process is killed, and begins anew */                 \
    X(power_ppm, 0, 10, 5000) /* a turn: the machine loses power, and begins anew */               \
    X(down_ns, 1000000, 1000000, 10000000000) /* ... after, at most */                             \
    /* Wires. Last, so that what seeds draw for those above stays as it is */                      \
    X(wire_split_ppm, 0, 1000, 500000) /* a batch: the reader sees a part of it a tick later */    \
    /* Scenario. Never drawn, but set where a failure is made smaller */                           \
    X(load_permille, 1000, 1000, 1000) /* of the work that it has for itself: tina_sim_load */     \
    X(kinds_left_out, 0, 0, 0)         /* of its actions, a bit each: tina_sim_does */             \
    X(check_turns, 64, 64, 64)         /* from one look at everything to the next; 0: 1 */         \
    /* Disk. Last, so that what seeds draw for those above stays as it is */                       \
    X(disk_stuck_ppm, 0, 100, 200000)         /* an op: the disk has it, past any cancel */        \
    X(disk_stuck_ns, 0, 1000000, 30000000000) /* ... for so long, at most */

#define TINA_SIM_SETTING_FIELD(name, calm, low, high) uint64_t name;
typedef struct tina_sim_settings {
    TINA_SIM_SETTINGS(TINA_SIM_SETTING_FIELD)
} tina_sim_settings;
#undef TINA_SIM_SETTING_FIELD

#define TINA_SIM_SENTENCE_BYTES 256

// tina_sim_settings_calm sets every value to the calm one.
void tina_sim_settings_calm(tina_sim_settings *settings);

// tina_sim_settings_draw draws them all from a seed.
void tina_sim_settings_draw(tina_sim_settings *settings, uint64_t seed);

// tina_sim_settings_set reads "name=value", several separated by commas; a value is a number, or
// "calm". Returns false and a sentence when it cannot.
bool tina_sim_settings_set(tina_sim_settings *settings, const char *text,
                           char sentence[TINA_SIM_SENTENCE_BYTES]);

// tina_sim_settings_print writes what differs from the calm world as tina_sim_settings_set reads
// it, and returns its length as tina_format does.
size_t tina_sim_settings_print(const tina_sim_settings *settings, char *out, size_t capacity);

// Settings by number, for a search through them.
typedef struct tina_sim_setting {
    const char *name;
    uint64_t calm;
    uint64_t low;
    uint64_t high;
    size_t offset;
} tina_sim_setting;

extern const tina_sim_setting tina_sim_setting_table[];
extern const uint32_t tina_sim_setting_count;

// tina_sim_setting_is_drawn returns whether a seed has a say in a setting.
static inline bool tina_sim_setting_is_drawn(const tina_sim_setting *setting) {
    return setting->low < setting->high;
}

static inline uint64_t *tina_sim_setting_of(tina_sim_settings *settings,
                                            const tina_sim_setting *setting) {
    return (uint64_t *)(void *)((uint8_t *)settings + setting->offset);
}

#ifdef __cplusplus
}
#endif

#endif
