// Starts `peregrine lsp` for rules files and falco.yaml.
'use strict';

const { commands, window, workspace } = require('vscode');
const { LanguageClient, TransportKind } = require('vscode-languageclient/node');

const LANGUAGES = ['falco-rules', 'falco-config'];

let client;

/** What the server reads at its start. Empty settings are left to the server. */
function initializationOptions(settings) {
  const options = {};
  for (const key of ['config', 'rules', 'capture', 'codePages']) {
    const value = settings.get(key);
    if (value && value.length > 0) {
      options[key] = value;
    }
  }
  return options;
}

async function start() {
  const settings = workspace.getConfiguration('peregrine');
  const command = settings.get('path') || 'peregrine';
  client = new LanguageClient(
    'peregrine',
    'Falco rules',
    { command, args: ['lsp'], transport: TransportKind.stdio },
    {
      documentSelector: LANGUAGES.map((language) => ({ scheme: 'file', language })),
      initializationOptions: initializationOptions(settings),
      synchronize: { fileEvents: workspace.createFileSystemWatcher('**/*.{yaml,yml}') },
    },
  );
  try {
    await client.start();
  } catch (error) {
    client = undefined;
    window.showErrorMessage(
      `\`${command} lsp\` does not start: ${error.message}. The setting peregrine.path names the program.`,
    );
  }
}

async function stop() {
  const running = client;
  client = undefined;
  await running?.stop();
}

async function restart() {
  await stop();
  await start();
}

async function activate(context) {
  context.subscriptions.push(
    commands.registerCommand('peregrine.restart', restart),
    workspace.onDidChangeConfiguration((change) => {
      const ours = ['path', 'config', 'rules', 'capture', 'codePages'].map((key) => `peregrine.${key}`);
      return ours.some((key) => change.affectsConfiguration(key)) ? restart() : undefined;
    }),
  );
  await start();
}

module.exports = { activate, deactivate: stop };
