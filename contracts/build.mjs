// Compiles the suite with the pinned compiler and writes one artifact per deployable contract.
//
//     node build.mjs [--out FOLDER]
//
// writes to FOLDER/src what the package ships and to FOLDER/test what only tests use; without --out, to
// src/caduceus/contracts/artifacts and tests/contracts/artifacts.
//
// The output depends on the sources, the compiler and the settings below, and on nothing else of the machine:
// no paths, no times, no metadata hash. A test compares a fresh build with the committed artifacts byte for byte.
import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import solc from "solc";
import { HERE, read } from "./sources.mjs";

const ROOT = join(HERE, "..");
const SUITES = [
  {
    folder: "src",
    names: ["Datasets", "DemoToken", "Heads", "Jobs", "Members", "Standing", "Statuses", "Vouches"],
    home: "src/caduceus/contracts/artifacts",
  },
  {
    folder: "test",
    names: ["CallingToken", "FalseToken", "FeeToken", "LyingToken", "Wallet"],
    home: "tests/contracts/artifacts",
  },
];
const SETTINGS = {
  evmVersion: "prague",
  viaIR: true,
  optimizer: { enabled: true, runs: 200 },
  metadata: { bytecodeHash: "none", appendCBOR: false },
};

// 2394: transient storage needs care. OpenZeppelin's guard, its only use here, clears it at the end of the call.
const EXPECTED = new Set(["2394"]);

/** The sources of one folder, by name. */
function sources(folder) {
  const files = readdirSync(join(HERE, folder)).filter((file) => file.endsWith(".sol")).sort();
  return Object.fromEntries(files.map((file) => [`${folder}/${file}`, { content: read(`${folder}/${file}`) }]));
}

/** Compile sources and everything they import; exits with the compiler's words if it has any to say. */
function compile(inputs) {
  const request = {
    language: "Solidity",
    sources: inputs,
    settings: {
      ...SETTINGS,
      outputSelection: { "*": { "*": ["abi", "evm.bytecode.object", "evm.deployedBytecode", "metadata"] } },
    },
  };
  const answer = JSON.parse(solc.compile(JSON.stringify(request), { import: (name) => ({ contents: read(name) }) }));
  const said = (answer.errors ?? []).filter((one) => !EXPECTED.has(one.errorCode));
  if (said.length > 0) {
    process.stderr.write(said.map((one) => one.formattedMessage).join("\n"));
    process.exit(1);
  }
  return answer.contracts;
}

/** Where the deployed code holds values that the constructor sets: [start, length] in bytes, in order. */
function immutables(references) {
  const places = Object.values(references).flat().map(({ start, length }) => [start, length]);
  return places.sort((a, b) => a[0] - b[0]);
}

/** What the Python package needs of a contract, and what shows where it came from. */
function artifact(name, contract) {
  const used = Object.keys(JSON.parse(contract.metadata).sources).sort();
  return {
    name,
    compiler: solc.version().replace(/\.Emscripten.*$/, ""),
    settings: SETTINGS,
    sources: Object.fromEntries(used.map((path) => [path, createHash("sha256").update(read(path)).digest("hex")])),
    abi: contract.abi,
    bytecode: contract.evm.bytecode.object,
    deployedBytecode: contract.evm.deployedBytecode.object,
    immutables: immutables(contract.evm.deployedBytecode.immutableReferences),
  };
}

/** Write the artifacts of `names`, found in any file of `folder`, into an emptied folder. */
function write(out, folder, names) {
  const contracts = Object.assign({}, ...Object.values(compile(sources(folder))));
  rmSync(out, { recursive: true, force: true });
  mkdirSync(out, { recursive: true });
  for (const name of names) {
    const tree = artifact(name, contracts[name]);
    writeFileSync(join(out, `${name}.json`), `${JSON.stringify(tree, null, 1)}\n`);
  }
}

const flag = process.argv.indexOf("--out");
for (const { folder, names, home } of SUITES) {
  write(flag < 0 ? join(ROOT, home) : join(process.argv[flag + 1], folder), folder, names);
}
