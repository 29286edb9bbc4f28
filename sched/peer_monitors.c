// SPDX-License-Identifier: Apache-2.0
//
// Monitors of other shards. One stands in the list of its link while it exists, and besides in its
// owner's list of monitors, or, while it has something to tell, in that of events: so telling needs
// neither message nor memory, and what comes to be told twice is told once, with a count.

#include "sched/internal.h"
#include "sched/links.h"

static void link_append(tina_shard *shard, shard_link *link, uint32_t index) {
    monitor_entry *at = &shard->monitors[index];
    at->who_prev = NONE;
    at->who_next = link->monitor_first;
    if (at->who_next != NONE)
        shard->monitors[at->who_next].who_prev = index;
    link->monitor_first = index;
}

void peer_monitor_unlink(tina_shard *shard, uint32_t index) {
    const monitor_entry *at = &shard->monitors[index];
    TINA_ASSERT(at->of_shard);
    if (at->who_prev == NONE)
        shard->links[at->peer].monitor_first = at->who_next;
    else
        shard->monitors[at->who_prev].who_next = at->who_next;
    if (at->who_next != NONE)
        shard->monitors[at->who_next].who_prev = at->who_prev;
}

// Whoever asks about a shard that has stopped would wait for ever for the news.
tina_monitor_result peer_monitor_set(tina_shard *shard, tina_isolate *owner, uint32_t peer,
                                     tina_monitor *monitor) {
    if (peer == shard->number)
        return TINA_MONITOR_OWN_SHARD;
    if (peer >= shard->link_count || !shard->links[peer].in)
        return TINA_MONITOR_NO_SHARD;
    uint32_t index = monitor_take(shard, owner, tina_handle_none());
    if (index == NONE)
        return TINA_MONITOR_FULL;
    shard_link *link = &shard->links[peer];
    monitor_entry *at = &shard->monitors[index];
    at->of_shard = true;
    at->peer = peer;
    link_append(shard, link, index);
    // What is heard and not told yet will be told to this one too.
    if (link->quarantined && link->news.count == 0) {
        at->news = (peer_news){TINA_SHARD_QUARANTINED, 1, link->peer_life};
        monitor_append(shard, index);
    } else {
        monitor_owner_link(shard, owner, index);
    }
    *monitor = monitor_name(shard, index);
    return TINA_MONITOR_OK;
}

// peer_tell tells the monitors of a shard what has been heard of it, once all is in that was sent
// before.
void peer_tell(tina_shard *shard, shard_link *link) {
    peer_news news = link->news;
    if (news.count == 0 || (int64_t)(link->in->messages.consumer.head - link->news_position) < 0)
        return;
    link->news = (peer_news){0};
    for (uint32_t i = link->monitor_first; i != NONE; i = shard->monitors[i].who_next) {
        monitor_entry *at = &shard->monitors[i];
        at->news.change = news.change;
        at->news.count += news.count;
        at->news.life = link->peer_life;
        // An event that waits is told with these, and so after all that has come by now.
        if (at->down)
            monitor_event_unlink(shard, i);
        else
            monitor_owner_unlink(shard, i);
        monitor_append(shard, i);
    }
}

// peer_event takes the news of an entry that has left its owner's list of events, and puts it back
// among the owner's monitors.
void peer_event(tina_shard *shard, tina_isolate *owner, uint32_t index, tina_message *event) {
    monitor_entry *at = &shard->monitors[index];
    TINA_ASSERT(at->down);
    TINA_ASSERT(at->news.count > 0);
    event->tag = TINA_SHARD_NEWS;
    event->shard = (tina_shard_event){
        .monitor = monitor_name(shard, index),
        .shard = at->peer,
        .change = at->news.change,
        .life = at->news.life,
        .count = at->news.count,
    };
    at->news = (peer_news){0};
    at->down = false;
    monitor_owner_link(shard, owner, index);
    COUNT(shard, shard_news_told, 1);
}
