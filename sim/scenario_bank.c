// SPDX-License-Identifier: Apache-2.0
//
// A bank: accounts on several shards give each other money, each transfer by a call that is
// repeated until it is answered. Whatever crashes or is lost, no transfer is booked twice, none is
// forgotten, and the sum stays.
//
//     payer                                     payee
//     books out, keeps the transfer ── call ──▶ books in, once a transfer's number
//     forgets the transfer ◀── answer ───────── (or nothing, and it is asked again)

#include "sched/ctx.h"
#include "sim/scenarios.h"

#define ACCOUNTS_PER_SHARD 4u
#define SHARDS_MAX         4u
#define ACCOUNT_COUNT      (ACCOUNTS_PER_SHARD * SHARDS_MAX)
#define TRANSFERS          20u // of each account
#define BALANCE            1000u

enum {
    TAG_TRANSFER = 1,
    TAG_BOOKED
};

typedef struct transfer {
    uint32_t payer;
    uint32_t number; // of the payer's, from 1
    uint32_t payee;
    uint32_t amount;
} transfer;

// What a bank keeps on disk: it outlives whoever crashes.
typedef struct account_book {
    tina_handle who;
    int64_t balance;
    uint32_t done;                  // transfers
    transfer open;                  // number 0: none
    uint32_t booked[ACCOUNT_COUNT]; // the last number of each payer
} account_book;

typedef struct bank {
    uint32_t account_count;
    account_book accounts[ACCOUNT_COUNT];
} bank;

typedef struct account {
    uint32_t number;
} account;

static bank *bank_of(void) {
    return tina_sim_state(tina_sim_current());
}

static uint32_t transfers_asked(void) {
    return tina_sim_load(tina_sim_current(), TRANSFERS);
}

static uint32_t accounts_per_shard(void) {
    return tina_sim_load(tina_sim_current(), ACCOUNTS_PER_SHARD);
}

static bool account_is_there(uint32_t number) {
    return number % ACCOUNTS_PER_SHARD < accounts_per_shard();
}

// One that is there, on the same shard.
static uint32_t account_near(uint32_t number) {
    uint32_t first = number - number % ACCOUNTS_PER_SHARD;
    return first + number % ACCOUNTS_PER_SHARD % accounts_per_shard();
}

static void account_rest(tina_ctx *ctx) {
    uint64_t rest_ns = tina_sim_draw(tina_sim_current(), 0, 200000000);
    if (tina_timer_set(ctx, rest_ns, 0).bits == 0)
        tina_sim_fail(tina_sim_current(), "bank", "no timer for an account");
}

static tina_effect account_init(tina_ctx *ctx, void *self_, tina_bytes args) {
    account *self = self_;
    self->number = tina_shard_number(ctx) * ACCOUNTS_PER_SHARD + *(const uint32_t *)args.data;
    bank_of()->accounts[self->number].who = tina_self(ctx);
    account_rest(ctx);
    return tina_receive();
}

static void transfer_begin(account_book *book, uint32_t payer) {
    tina_sim *sim = tina_sim_current();
    uint32_t payee = account_near((uint32_t)tina_sim_draw(sim, 1, bank_of()->account_count));
    uint32_t amount = 1 + (uint32_t)tina_sim_draw(sim, 2, 100);
    book->open = (transfer){payer, book->done + 1, payee, amount};
    book->balance -= amount;
}

static tina_effect transfer_ask(tina_ctx *ctx, account_book *book) {
    const transfer *open = &book->open;
    uint64_t timeout_ns = 1000000 + tina_sim_draw(tina_sim_current(), 3, 50000000);
    return tina_call(ctx, bank_of()->accounts[open->payee].who, TAG_TRANSFER, open, sizeof *open,
                     timeout_ns);
}

// Booking in is one step, after the last thing that can fail before it.
static tina_effect transfer_book(tina_ctx *ctx, account_book *book, const transfer *asked) {
    if (book->booked[asked->payer] < asked->number) {
        book->booked[asked->payer] = asked->number;
        book->balance += asked->amount;
    }
    return tina_reply(ctx, TAG_BOOKED, asked, sizeof *asked);
}

static void transfer_end(account_book *book, const transfer *booked) {
    if (booked->number != book->open.number || booked->payer != book->open.payer)
        tina_sim_fail(tina_sim_current(), "bank", "account %u: answered %u.%u and asked %u.%u",
                      book->open.payer, booked->payer, booked->number, book->open.payer,
                      book->open.number);
    book->open.number = 0;
    book->done++;
}

static tina_effect account_handle(tina_ctx *ctx, void *self_, const tina_message *m) {
    const account *self = self_;
    account_book *book = &bank_of()->accounts[self->number];
    switch (m->tag) {
    case TAG_TRANSFER:
        return transfer_book(ctx, book, (const transfer *)(const void *)m->payload);
    case TAG_BOOKED:
        transfer_end(book, (const transfer *)(const void *)m->payload);
        break;
    case TINA_TIMER:
        if (book->open.number == 0 && book->done < transfers_asked())
            transfer_begin(book, self->number);
        if (book->open.number && book->open.payee == self->number) {
            book->balance += book->open.amount;
            book->booked[self->number] = book->open.number;
            transfer_end(book, &book->open);
        } else if (book->open.number) {
            return transfer_ask(ctx, book);
        }
        break;
    case TINA_SHUTDOWN:
        return tina_done();
    default:
        break;
    }
    account_rest(ctx);
    return tina_receive();
}

static const tina_isolate_type account_type = {
    .name = "account",
    .init = account_init,
    .handle = account_handle,
    .struct_bytes = sizeof(account),
};

static const uint32_t numbers[ACCOUNTS_PER_SHARD] = {0, 1, 2, 3};

#define ACCOUNT(i)                                                                                 \
    {                                                                                              \
        .type = &account_type, .args = { &numbers[i], sizeof numbers[i] }                          \
    }

static const tina_child children[ACCOUNTS_PER_SHARD] = {ACCOUNT(0), ACCOUNT(1), ACCOUNT(2),
                                                        ACCOUNT(3)};
static const tina_type_slots types[] = {{&account_type, ACCOUNTS_PER_SHARD}};

static const tina_spec spec = {
    .name = "bank",
    .types = types,
    .type_count = 1,
    .root = {.name = "bank",
             .children = children,
             .child_count = ACCOUNTS_PER_SHARD,
             .intensity = 10},
    .fd_count = 8,
    .op_count = 16,
    .buffer_count = 4,
    .channel_bytes = 65536,
};

static void bank_begin(tina_sim *sim, void *state) {
    bank *self = state;
    self->account_count = tina_sim_shard_count(sim) * ACCOUNTS_PER_SHARD;
    for (uint32_t i = 0; i < self->account_count; i++)
        self->accounts[i].balance = BALANCE;
}

static bool bank_done(tina_sim *sim, void *state) {
    const bank *self = state;
    (void)sim;
    for (uint32_t i = 0; i < self->account_count; i++)
        if (account_is_there(i) && self->accounts[i].done < transfers_asked())
            return false;
    return true;
}

static bool is_under_way(const bank *self, const transfer *open) {
    return open->number && self->accounts[open->payee].booked[open->payer] < open->number;
}

static void bank_check(tina_sim *sim, void *state) {
    const bank *self = state;
    int64_t sum = 0;
    for (uint32_t i = 0; i < self->account_count; i++) {
        sum += self->accounts[i].balance;
        if (is_under_way(self, &self->accounts[i].open))
            sum += self->accounts[i].open.amount;
    }
    if (sum != (int64_t)BALANCE * self->account_count)
        tina_sim_fail(sim, "bank sum", "the sum of all accounts is %lld, not %lld", (long long)sum,
                      (long long)BALANCE * self->account_count);
}

const tina_scenario tina_scenario_bank = {
    .name = "bank",
    .specs = &spec,
    .spec_count = 1,
    .shards_min = 1,
    .shards_max = SHARDS_MAX,
    .state_bytes = sizeof(bank),
    .restarts = true,
    .fewer_children = true,
    .begin = bank_begin,
    .done = bank_done,
    .check = bank_check,
};
