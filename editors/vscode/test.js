// `node test.js [PEREGRINE]`: the manifest is one that can be packaged, and the extension starts the
// program. The editor and its client library are stand-ins; the program, if it is named, is real.
'use strict';

const assert = require('node:assert');
const { spawn } = require('node:child_process');
const fs = require('node:fs');
const Module = require('node:module');
const path = require('node:path');

const at = (name) => path.join(__dirname, name);
const json = (name) => JSON.parse(fs.readFileSync(at(name), 'utf8'));

/** What `vsce package` and the marketplace ask of a manifest. */
function checkManifest() {
  const manifest = json('package.json');
  assert.match(manifest.name, /^[a-z0-9][a-z0-9-]*$/);
  assert.match(manifest.publisher, /^[a-z0-9][a-z0-9-]*$/i);
  assert.match(manifest.version, /^\d+\.\d+\.\d+$/);
  assert.match(manifest.engines.vscode, /^\^\d+\.\d+\.\d+$/);
  assert.ok(fs.existsSync(at(manifest.main)));
  assert.ok(fs.existsSync(at('README.md')), 'a README is shown in the marketplace');
  for (const key of ['displayName', 'description', 'license', 'categories']) {
    assert.ok(manifest[key].length > 0, key);
  }
  const { languages, grammars, configuration, commands } = manifest.contributes;
  for (const language of languages) {
    json(language.configuration);
  }
  for (const grammar of grammars) {
    assert.ok(languages.some((language) => language.id === grammar.language));
    const content = json(grammar.path);
    assert.strictEqual(content.scopeName, grammar.scopeName);
    expressions(content).forEach((expression) => new RegExp(expression));
  }
  for (const [key, setting] of Object.entries(configuration.properties)) {
    assert.ok(key.startsWith('peregrine.') && setting.description && 'default' in setting, key);
  }
  return { commands: commands.map(({ command }) => command), languages };
}

/** All regular expressions of a grammar. */
function expressions(value) {
  if (typeof value !== 'object' || value === null) {
    return [];
  }
  return Object.entries(value).flatMap(([key, inner]) =>
    ['match', 'begin', 'end', 'while'].includes(key) && typeof inner === 'string'
      ? [inner.replaceAll('\\1', '')]
      : expressions(inner),
  );
}

/** Loads the extension with stand-ins for what the editor provides. */
function load(settings) {
  const seen = { clients: [], commands: new Map(), errors: [] };
  class LanguageClient {
    constructor(id, name, server, options) {
      Object.assign(this, { id, name, server, options, running: false });
      seen.clients.push(this);
    }
    async start() {
      if (settings.fails) {
        throw new Error('not found');
      }
      this.running = true;
    }
    async stop() {
      this.running = false;
    }
  }
  const modules = {
    vscode: {
      commands: { registerCommand: (name, run) => seen.commands.set(name, run) },
      window: { showErrorMessage: (message) => seen.errors.push(message) },
      workspace: {
        createFileSystemWatcher: (pattern) => ({ pattern }),
        getConfiguration: () => ({ get: (key) => settings[key] }),
        onDidChangeConfiguration: (changed) => (seen.changed = changed),
      },
    },
    'vscode-languageclient/node': { LanguageClient, TransportKind: { stdio: 0 } },
  };
  const original = Module._load;
  Module._load = (name, ...rest) => modules[name] ?? original(name, ...rest);
  delete require.cache[at('extension.js')];
  seen.extension = require('./extension.js');
  Module._load = original;
  return seen;
}

async function checkActivation({ commands, languages }) {
  const settings = { path: 'peregrine', config: '', rules: ['rules.d'], capture: 'a.scap' };
  const seen = load(settings);
  const context = { subscriptions: [] };
  await seen.extension.activate(context);
  assert.deepStrictEqual([...seen.commands.keys()], commands);
  const [client] = seen.clients;
  assert.ok(client.running);
  assert.strictEqual(client.server.command, 'peregrine');
  assert.deepStrictEqual(client.server.args, ['lsp']);
  assert.deepStrictEqual(client.options.initializationOptions, { rules: ['rules.d'], capture: 'a.scap' });
  const selected = client.options.documentSelector.map(({ language }) => language);
  assert.deepStrictEqual(selected, languages.map(({ id }) => id));
  // Settings of others do not restart the server; ours and the command do.
  await seen.changed({ affectsConfiguration: (key) => key === 'editor.tabSize' });
  assert.strictEqual(seen.clients.length, 1);
  await seen.changed({ affectsConfiguration: (key) => key === 'peregrine.rules' });
  await seen.commands.get('peregrine.restart')();
  assert.deepStrictEqual(seen.clients.map(({ running }) => running), [false, false, true]);
  await seen.extension.deactivate();
  assert.ok(!seen.clients[2].running);

  const failing = load({ path: '/no/such', fails: true });
  await failing.extension.activate({ subscriptions: [] });
  assert.match(failing.errors[0], /`\/no\/such lsp` does not start: not found/);
  return client;
}

/** The program answers what the client library sends first. */
function checkProgram(program, { server, options }) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, server.args, { stdio: ['pipe', 'pipe', 'inherit'] });
    const send = (message) => {
      const text = JSON.stringify({ jsonrpc: '2.0', ...message });
      child.stdin.write(`Content-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}`);
    };
    let [received, answered] = ['', false];
    child.stdout.on('data', (data) => {
      received += data;
      if (!answered && received.includes('"capabilities"')) {
        answered = true;
        send({ method: 'initialized', params: {} });
        send({ id: 2, method: 'shutdown' });
        send({ method: 'exit' });
      }
    });
    child.on('error', reject);
    child.on('exit', (code) => {
      const capable = received.includes('"documentFormattingProvider"');
      capable && code === 0 ? resolve() : reject(new Error(`exit ${code}: ${received}`));
    });
    const params = { processId: null, rootUri: null, capabilities: {} };
    const { initializationOptions } = options;
    send({ id: 1, method: 'initialize', params: { ...params, initializationOptions } });
  });
}

async function main() {
  const client = await checkActivation(checkManifest());
  const program = process.argv[2];
  if (program) {
    await checkProgram(program, client);
  }
  console.log('ok');
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
