// SPDX-License-Identifier: Apache-2.0
//
// Datastar's events, byte for byte as its own SDK writes them, over every kind and option; and which
// signals are JSON, as JSON.parse has it.
//
//     node datastar_sdk_test.mjs CONFORMANCE_SERVER

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import http from 'node:http';
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';

const require = createRequire(`${process.env.TINA_NODE_MODULES}/`);
const { ServerSentEventGenerator } = require('@starfederation/datastar-sdk/abstractServerSentEventGenerator');
const sdk = new ServerSentEventGenerator();

// What the SDK writes for an event, and nothing for one that it refuses.
function expected(event) {
    const { type, elements, script, signals, 'signals-raw': raw, ...options } = event;
    try {
        if (type === 'patchElements') return sdk.patchElements(elements ?? '', options).join('');
        if (type === 'executeScript') return sdk.executeScript(script, options).join('');
        return sdk.patchSignals(raw ?? JSON.stringify(signals), options).join('');
    } catch {
        return '';
    }
}

// All combinations of one value of each option, in this order; undefined leaves it out.
function* product(options) {
    const [[name, values], ...rest] = options;
    const others = rest.length > 0 ? [...product(rest)] : [{}];
    for (const value of values) {
        for (const other of others) yield value === undefined ? other : { [name]: value, ...other };
    }
}

const common = [
    ['eventId', [undefined, 'event-7 é']],
    ['retryDuration', [undefined, 1000, 2500]],
];
const modes = ['outer', 'inner', 'replace', 'prepend', 'append', 'before', 'after', 'remove'];
const events = [
    ...product([
        ['type', ['patchElements']],
        ['elements', [undefined, ' \n', '<b id="a">é</b>', '<ul>\n <li>1</li>\n\n</ul>\n']],
        ['selector', [undefined, '#a > b']],
        ['mode', [undefined, ...modes]],
        ['namespace', [undefined, 'html', 'svg', 'mathml']],
        ['useViewTransition', [undefined, false, true]],
        ['viewTransitionSelector', [undefined, '#v']],
        ...common,
    ]),
    ...product([
        ['type', ['patchSignals']],
        ['signals', [undefined, {}, { one: 1, two: { three: [true, null, 'x\n"\\é\u2028😀'] } }]],
        ['signals-raw', [undefined, '{"a":1}', '{\n  "a": 1,\n  "b": "x: y"\n}']],
        ['onlyIfMissing', [undefined, false, true]],
        ...common,
    ]),
    ...product([
        ['type', ['executeScript']],
        ['script', ["console.log('é');", 'if (a < b)\n  c();\n']],
        ['attributes', [undefined, {}, { type: 'module', blocking: 'false', zeta: '1', alpha: 'a b' }]],
        ['autoRemove', [undefined, true, false]],
        ...common,
    ]),
].filter((event) => event.type !== 'patchSignals' || event.signals || event['signals-raw']);

const server = spawn(process.argv[2], ['--port', '0', '--shards', '1'], { stdio: ['ignore', 'pipe', 'inherit'] });
const [line] = await once(createInterface(server.stdout), 'line');
const port = Number(line.match(/:(\d+) /)[1]);
const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });

async function ask(method, signals) {
    const inQuery = method === 'GET' || method === 'DELETE';
    const path = inQuery ? `/test?datastar=${encodeURIComponent(signals)}` : '/test';
    const request = http.request({ port, host: '127.0.0.1', method, path, agent });
    request.end(inQuery ? undefined : signals);
    const [response] = await once(request, 'response');
    const chunks = [];
    for await (const chunk of response) chunks.push(chunk);
    return { status: response.statusCode, headers: response.headers, body: Buffer.concat(chunks) };
}

// A small PRNG, so that a seed says it all.
let seed = Number(process.env.TINA_SEED ?? 1) >>> 0;
console.log(`TINA_SEED=${seed}`);
function below(n) {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return Math.floor((seed / 2 ** 32) * n);
}

let failed = false;
try {
    let said = 0;
    for (let at = 0; at < events.length; at += 50) {
        const some = events.slice(at, at + 50);
        const answer = await ask(['POST', 'PUT', 'PATCH'][below(3)], JSON.stringify({ events: some }, null, below(3)));
        assert.equal(answer.status, 200);
        assert.equal(answer.headers['content-type'], 'text/event-stream');
        assert.equal(answer.headers['cache-control'], 'no-cache');
        const whole = some.map(expected).join('');
        if (answer.body.equals(Buffer.from(whole))) {
            said += some.filter((event) => expected(event) !== '').length;
            continue;
        }
        for (const event of some) {
            const one = await ask('POST', JSON.stringify({ events: [event] }));
            assert.equal(one.body.toString(), expected(event), JSON.stringify(event));
        }
        assert.fail('events that are right one by one are not when they come together');
    }
    for (let i = 0; i < 300; i++) {
        const event = events[below(events.length)];
        const answer = await ask(['GET', 'DELETE'][i % 2], JSON.stringify({ x: '+ &%', events: [event] }));
        assert.equal(answer.body.toString(), expected(event), JSON.stringify(event));
    }
    assert.ok(said > 5000 && said < events.length, `${said} of ${events.length}`);
    console.log(`${events.length} events, of which ${said} are written, are as the SDK has them`);

    // Changed here and there, some stay JSON.
    const texts = ['{"events":[],"a":[1,-2.5e3,"x\\u00e9\\n\\ud83d"],"b":{"c":null},"d":true}', '{"events":[] , "e" : 0.10E-5 }', ' {"events":[]}'];
    const alphabet = '{}[],:"\\0123456789.eE+-tfn u\n\té\u0000';
    let good = 0;
    const rounds = 3000;
    for (let i = 0; i < rounds; i++) {
        let text = texts[below(texts.length)];
        for (let n = 1 + below(2); n > 0; n--) {
            const at = below(text.length + 1);
            text = text.slice(0, at) + alphabet[below(alphabet.length)] + text.slice(at + below(2));
        }
        let parsed;
        try {
            parsed = JSON.parse(text);
        } catch {}
        const right = parsed !== undefined && Array.isArray(parsed?.events);
        good += right;
        const answer = await ask('POST', text);
        assert.equal(answer.status, right ? 200 : 400, JSON.stringify(text));
    }
    assert.ok(good > rounds / 20 && good < rounds - rounds / 20, `${good} of ${rounds}`);
    console.log(`${rounds} texts, of which ${good} are signals, are so for JSON.parse too`);
} catch (error) {
    console.error(error);
    failed = true;
}
agent.destroy();
server.kill('SIGTERM');
const [status] = await once(server, 'exit');
process.exit(failed || status !== 0 ? 1 : 0);
