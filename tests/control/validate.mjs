// SPDX-License-Identifier: Apache-2.0
// validate.mjs OPENAPI MODULES: reads lines "SCHEMA FILE" and says of each file whether its JSON fits the
// schema "#/components/schemas/SCHEMA" (or ERRORS: a list of strings, as the API reports errors). One line
// a file: "ok SCHEMA FILE" or "not ok SCHEMA FILE: why". Exit status 1 if one does not fit.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const [openapi, modules] = process.argv.slice(2);
const require = createRequire(modules + "/");
const Ajv = require("ajv").default;
const YAML = require("yaml");

const document = YAML.parse(readFileSync(openapi, "utf8"));
document.components.schemas.ERRORS = { type: "array", minItems: 1, items: { type: "string" } };
// The formats of the document only say how wide an integer is.
const ajv = new Ajv({ strict: false, validateFormats: false, allErrors: true });
ajv.addSchema(document, "openapi");

let failed = false;
for (const line of readFileSync(0, "utf8").split("\n").filter(Boolean)) {
  const [schema, file] = line.split(" ");
  const validate = ajv.getSchema(`openapi#/components/schemas/${schema}`);
  let problem;
  try {
    const value = JSON.parse(readFileSync(file, "utf8"));
    if (!validate) problem = "no such schema";
    else if (!validate(value)) problem = ajv.errorsText(validate.errors);
  } catch (error) {
    problem = error.message;
  }
  console.log(problem ? `not ok ${schema} ${file}: ${problem}` : `ok ${schema} ${file}`);
  failed ||= Boolean(problem);
}
process.exit(failed ? 1 : 0);
