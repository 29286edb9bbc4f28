// SPDX-License-Identifier: Apache-2.0
//
// For tests of pages: a server as a user runs it, and Chromium without a window.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';

const require = createRequire(`${process.env.TINA_NODE_MODULES}/`);
const { chromium } = require('playwright-core');

export class Server {
    constructor(program, ...options) {
        this.process = spawn(program, options, { stdio: ['ignore', 'pipe', 'inherit'] });
        this.lines = createInterface(this.process.stdout);
        this.exited = once(this.process, 'exit');
    }
    async port() {
        const [line] = await once(this.lines, 'line');
        return Number(line.match(/:(\d+) /)[1]);
    }
    async stop(signal = 'SIGTERM') {
        this.process.kill(signal);
        const [status] = await this.exited;
        return status;
    }
}

export function browser() {
    const executablePath = '/usr/bin/chromium';
    if (!existsSync(executablePath)) {
        console.error(`${executablePath} is missing; tools/setup installs it.`);
        process.exit(1);
    }
    process.env.HOME = process.env.TEST_TMPDIR ?? '/tmp';
    return chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu'] });
}

// Runs a test, and leaves neither servers nor a browser behind.
export async function run(test) {
    const ends = [];
    let status = 0;
    try {
        await test((end) => ends.push(end));
    } catch (error) {
        console.error(error);
        status = 1;
    }
    for (const end of ends.reverse()) await end();
    process.exit(status);
}
