// SPDX-License-Identifier: Apache-2.0
//
// How large the channels to a shard are: most derive from channel_bytes, and the spec's `channels`
// set those of single pairs. For the files of this module.

#ifndef TINA_SCHED_CHANNELS_H
#define TINA_SCHED_CHANNELS_H

#include "sched/shard.h"

#ifdef __cplusplus
extern "C" {
#endif

// Of what a shard has for the others.
typedef struct tina_channel_sizes {
    uint32_t peers;         // beside this shard
    uint32_t credits;       // of each peer
    uint32_t message_count; // from a peer whose channel the spec does not name
    uint32_t control_count; // from each
    uint64_t message_sum;   // from all, and 1 in the place of this shard itself
} tina_channel_sizes;

tina_channel_sizes tina_channels_measure(const tina_spec *resolved,
                                         const tina_shard_options *options);

// tina_channel_messages returns how many messages may wait from shard `from`.
uint32_t tina_channel_messages(const tina_spec *resolved, const tina_shard_options *options,
                               const tina_channel_sizes *sizes, uint32_t from);

// tina_channels_accept tells what is wrong with the channels whatever the number of shards;
// tina_channels_fit, what is of those to shard `number` among so many.
bool tina_channels_accept(const tina_spec *spec, char sentence[TINA_SENTENCE_BYTES]);
bool tina_channels_fit(const tina_spec *resolved, uint32_t number, uint32_t shard_count,
                       char sentence[TINA_SENTENCE_BYTES]);

// tina_channels_agree is for shards with a spec each: a channel counts only in the spec of the
// shard that it leads to, so whatever another spec says of it must be said there too.
bool tina_channels_agree(const tina_spec *resolved, uint32_t shard_count,
                         char sentence[TINA_SENTENCE_BYTES]);

#ifdef __cplusplus
}
#endif

#endif
