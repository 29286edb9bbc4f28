%% SPDX-License-Identifier: Apache-2.0
%%
%% What //bench:actors measures of Erlang, on one scheduler. See actors_tina.c.
-module(actors_erlang).
-behaviour(supervisor).
-export([main/1, init/1, doomed/1, mayfly/1]).

main([Row, Text]) ->
    logger:set_primary_config(level, none),
    Count = list_to_integer(Text),
    Self = self(),
    %% A process of its own, whose heap and mailbox are new.
    spawn_link(fun() -> Self ! {used_ms, row(Row, Count)} end),
    receive {used_ms, Ms} -> io:format("ns ~.2f~n", [Ms * 1.0e6 / Count]) end,
    halt(0).

start() -> erlang:statistics(runtime).

used_ms() ->
    {_, Ms} = erlang:statistics(runtime),
    Ms.

row("ping_pong_1", Count) -> ping_pong(1, Count);
row("ping_pong_128", Count) -> ping_pong(128, Count);
row("flood", Count) -> flood(Count);
row("spawn", Count) -> spawned(Count);
row("restart", Count) -> restarted(Count).

ping_pong(Pairs, Count) ->
    Umpire = self(),
    start(),
    [begin
         A = spawn(fun() -> player_start(Umpire) end),
         B = spawn(fun() -> player_start(Umpire) end),
         A ! {peer, B},
         B ! {peer, A},
         A ! {ball, Count div Pairs}
     end || _ <- lists:seq(1, Pairs)],
    [receive over -> ok end || _ <- lists:seq(1, Pairs)],
    used_ms().

player_start(Umpire) ->
    receive {peer, Peer} -> player(Umpire, Peer) end.

player(Umpire, Peer) ->
    receive
        {ball, 0} -> Umpire ! over;
        {ball, Left} -> Peer ! {ball, Left - 1}, player(Umpire, Peer)
    end.

flood(Count) ->
    Umpire = self(),
    Counter = spawn(fun() -> counter(Umpire, Count) end),
    start(),
    flooder(Counter, Count),
    receive over -> ok end,
    used_ms().

flooder(_, 0) -> ok;
flooder(Counter, Left) -> Counter ! {ball, Left}, flooder(Counter, Left - 1).

counter(Umpire, 0) -> Umpire ! over;
counter(Umpire, Left) -> receive {ball, _} -> counter(Umpire, Left - 1) end.

spawned(Count) ->
    start(),
    [spawn(?MODULE, mayfly, [self()]) || _ <- lists:seq(1, 64)],
    spawner(Count),
    used_ms().

spawner(0) -> ok;
spawner(Left) ->
    receive over -> ok end,
    case Left > 64 of
        true -> spawn(?MODULE, mayfly, [self()]);
        false -> ok
    end,
    spawner(Left - 1).

mayfly(Spawner) -> Spawner ! over.

%% A supervisor looks through the times of all its restarts within the period, a second at the
%% least, at each one. So that this weighs as little as in life, each ends after a few.
restarted(Count) ->
    process_flag(trap_exit, true),
    Each = 20,
    start(),
    [restarted_by_one(Each) || _ <- lists:seq(1, Count div Each)],
    used_ms().

restarted_by_one(Each) ->
    Umpire = self(),
    {ok, Supervisor} = supervisor:start_link(?MODULE, Umpire),
    lives(Each),
    exit(Supervisor, shutdown),
    receive {'EXIT', Supervisor, _} -> ok end.

%% Of the child's lives, the last waits for its supervisor's end.
lives(0) -> receive {born, _} -> ok end;
lives(Left) -> receive {born, Child} -> Child ! crash, lives(Left - 1) end.

init(Umpire) ->
    {ok, {#{strategy => one_for_one, intensity => 1000, period => 1},
          [#{id => doomed, start => {?MODULE, doomed, [Umpire]}}]}}.

doomed(Umpire) ->
    {ok, spawn_link(fun() ->
        Umpire ! {born, self()},
        receive crash -> exit(crash) end
    end)}.
