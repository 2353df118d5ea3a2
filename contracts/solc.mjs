#!/usr/bin/env node
// The pinned compiler from npm behind the command line that analysis tools expect of a native `solc`:
//
//     solc.mjs --version
//     solc.mjs --standard-json [...] < input > output
//
// Sources are read from this folder and its node_modules, so nothing is downloaded.
import { readFileSync } from "node:fs";
import solc from "solc";
import { read } from "./sources.mjs";

if (process.argv.includes("--version")) {
  process.stdout.write(`solc, the solidity compiler commandline interface\nVersion: ${solc.version()}\n`);
} else if (process.argv.includes("--standard-json")) {
  const request = JSON.parse(readFileSync(0, "utf8"));
  for (const [name, source] of Object.entries(request.sources)) {
    request.sources[name] = { content: source.content ?? read(source.urls[0]) };
  }
  process.stdout.write(solc.compile(JSON.stringify(request), { import: (name) => ({ contents: read(name) }) }));
} else {
  process.stderr.write("solc.mjs understands --version and --standard-json\n");
  process.exit(2);
}
