// SPDX-License-Identifier: Apache-2.0
//
// The page in two tabs, with a stand-in for Datastar that --client serves.
//
//     node http_datastar_test.mjs HTTP_DATASTAR CLIENT [SCREENSHOT]

import assert from 'node:assert/strict';
import { browser, run, Server } from './browser.mjs';

const [program, client, screenshot] = process.argv.slice(2);

await run(async (atEnd) => {
    const plain = new Server(program, '--port', '0', '--shards', '1');
    atEnd(() => plain.stop('SIGKILL'));
    const text = await (await fetch(`http://127.0.0.1:${await plain.port()}/`)).text();
    assert.match(text, /<script type='module' src='https:[^']*datastar@v1[^']*\.js'>/);
    assert.equal(await plain.stop(), 0);

    const server = new Server(program, '--client', client, '--port', '0', '--shards', '2');
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
        await page.locator('#clock:text-matches("^[0-9:]{8}$")').waitFor();
        return page;
    }
    const shows = (page, selector, text) => page.locator(`${selector}:text-is("${text}")`).waitFor();

    const one = await tab();
    const two = await tab();
    await one.fill('#text', '<b>böld</b> & 😀');
    await one.press('#text', 'Enter');
    await shows(two, '#chat li', '<b>böld</b> & 😀');
    await one.waitForFunction(() => document.querySelector('#text').value === '');
    await two.click('#add');
    await shows(one, '#count', '1');
    await shows(two, '#count', '1');
    if (screenshot) await two.screenshot({ path: screenshot });
    await two.reload();
    await shows(two, '#chat li', '<b>böld</b> & 😀');
    assert.equal(await server.stop(), 0);
    assert.deepEqual(faults, []);
});
