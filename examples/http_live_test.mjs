// SPDX-License-Identifier: Apache-2.0
//
// What is typed in one tab shows in another, stays after a reload, and goes on when the server comes
// back.
//
//     node http_live_test.mjs HTTP_LIVE [SCREENSHOT]

import assert from 'node:assert/strict';
import { browser, run, Server } from './browser.mjs';

const program = process.argv[2];

await run(async (atEnd) => {
    let server = new Server(program, '--port', '0', '--shards', '2');
    atEnd(() => server.stop('SIGKILL'));
    const port = await server.port();
    const chromium = await browser();
    atEnd(() => chromium.close());

    const faults = [];
    async function tab() {
        const page = await (await chromium.newContext()).newPage();
        page.setDefaultTimeout(10000);
        page.on('pageerror', (error) => faults.push(error));
        await page.goto(`http://127.0.0.1:${port}/`);
        await shows(page, '#state', 'connected');
        return page;
    }
    const shows = (page, selector, text) => page.locator(`${selector}:text-is("${text}")`).waitFor();
    const says = async (page, text) => {
        await page.fill('#text', text);
        await page.press('#text', 'Enter');
    };

    const one = await tab();
    const two = await tab();
    await says(one, 'Hello from one');
    await shows(two, '#chat li', 'Hello from one');
    await says(two, '<b>böld</b> & 😀');
    await shows(one, '#chat li', '<b>böld</b> & 😀');
    await one.click('#add');
    await two.click('#add');
    await shows(one, '#count', '2');
    await shows(two, '#count', '2');
    const time = await one.textContent('#clock');
    assert.match(time, /^\d\d:\d\d:\d\d$/);
    await one.waitForFunction((before) => document.querySelector('#clock').textContent !== before, time);
    if (process.argv[3]) await one.screenshot({ path: process.argv[3] });

    await two.reload();
    await shows(two, '#count', '2');
    await shows(two, '#chat li', 'Hello from one');
    await shows(two, '#chat li', '<b>böld</b> & 😀');
    assert.equal(await two.locator('#chat li').count(), 2);

    assert.equal(await server.stop(), 0);
    await shows(one, '#state', 'away, trying again');
    server = new Server(program, '--port', String(port), '--shards', '2');
    assert.equal(await server.port(), port);
    await shows(one, '#state', 'connected');
    await shows(two, '#state', 'connected');
    await shows(one, '#count', '0');
    await says(one, 'Back again');
    await shows(one, '#chat li', 'Back again');
    await shows(two, '#chat li', 'Back again');
    assert.equal(await one.locator('#chat li').count(), 3);
    assert.equal(await server.stop(), 0);
    assert.deepEqual(faults, []);
});
