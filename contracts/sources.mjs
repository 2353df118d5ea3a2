// Where Solidity sources are found: this folder and its node_modules, and nowhere else.
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const HERE = dirname(fileURLToPath(import.meta.url));

/** The text of a source by the name under which Solidity files import it. */
export function read(name) {
  return readFileSync(join(HERE, name.startsWith("@") ? "node_modules" : "", name), "utf8");
}
