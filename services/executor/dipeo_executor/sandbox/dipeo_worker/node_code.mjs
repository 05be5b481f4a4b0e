// How a typescript job is run: what it is wrapped in, what becomes of its types, where its imports are looked for.
import fs from "node:fs";
import * as nodeModule from "node:module";
import path from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import vm from "node:vm";

export const IS_MODULE = /^\s*(import\s*[\w{*"']|export\s*[\w{*])/m;
const NAME = /^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u;
const PROJECT_SOURCE = /\.m?ts$/;
const strip = nodeModule.stripTypeScriptTypes; // Node.js 22.13 and newer

export class Failed extends Error {
  constructor(message, kind, details = "") {
    super(message);
    Object.assign(this, { kind, details });
  }
}

class End { // it came to its end without a return
  constructor(wanted, main, result) {
    Object.assign(this, { wanted, main, result });
  }
}

// The job as a function of its context. In a function, so that the code may return and await; in an inner one, so that
// it may declare a name that an input has.
export function asFunction(job, names, base) {
  const given = Object.keys(names).filter(usable);
  const wanted = NAME.test(job.function) ? job.function : "main";
  const ifFunction = name => `typeof ${name} === "function" ? ${name} : undefined`;
  const end = `;return $dipeo_end(${ifFunction(wanted)}, ${ifFunction("main")}, typeof result === "undefined" ? undefined : result)`;
  const head = `"use strict"; (async ($dipeo_end, ${given.join(", ")}) => { return await (async () => {`;
  const script = scriptOf(`${head}\n${job.source}\n${end}})()})`, job, base);
  return async context => {
    const value = await script.runInThisContext()((...found) => new End(...found), ...given.map(name => names[name]));
    return value instanceof End ? await ended(job, value, "defines", context) : value;
  };
}

const scripts = new Map(); // what was compiled lately

function scriptOf(wrapped, job, base) {
  const key = `${job.filename}\0${job.import_dir}\0${wrapped}`;
  let script = scripts.get(key);
  if (!script) {
    const options = { filename: job.filename, lineOffset: -1, ...dynamic(job.import_dir || base, base) };
    const source = plain(wrapped, job, 1);
    script = compiled(() => new vm.Script(source, options));
    if (scripts.size >= 64) scripts.delete(scripts.keys().next().value);
    scripts.set(key, script);
  }
  return script;
}

// The same of a source with imports or exports; its names are lent to the global object while its top level runs.
export async function asModule(job, names, base) {
  const module = sourceModule(plain(job.source, job, 0), job.filename, job.import_dir || base, base);
  await module.link((specifier, from) => moduleOf(specifier, folders.get(from), base));
  return async context => {
    const lent = Object.keys(names).filter(name => !(name in globalThis));
    for (const name of lent) globalThis[name] = names[name];
    try {
      await module.evaluate();
    } finally {
      for (const name of lent) delete globalThis[name];
    }
    const exports = module.namespace;
    const end = new End(exports[job.function || "main"], exports.main ?? exports.default, exports.result);
    return await ended(job, end, "exports", context);
  };
}

async function ended(job, { wanted, main, result }, verb, context) {
  if (typeof wanted === "function") return await wanted(context);
  const hasMain = typeof main === "function";
  // every exported diagram names "main", also for inline code that only sets `result`
  if (job.function && (job.import_dir || (job.function !== "main" && !hasMain && result === undefined))) {
    throw new Failed(`${job.filename} ${verb} no function "${job.function}"`, "FunctionMissing");
  }
  return hasMain ? await main(context) : await result;
}

function usable(name) {
  if (!NAME.test(name)) return false;
  try {
    new vm.Script(`"use strict"; async (${name}) => { async () => {} }`);
    return !["await", "$dipeo_end"].includes(name);
  } catch {
    return false; // a word of the language
  }
}

// ---------------------------------------------------------------------------------------------- modules

const sources = new Map(); // TypeScript file -> its module, as long as the worker lives
const folders = new WeakMap(); // module -> where its relative imports begin

async function moduleOf(specifier, folder, base) {
  const url = resolved(specifier, folder);
  const file = url.startsWith("file:") ? fileURLToPath(url) : "";
  if (!PROJECT_SOURCE.test(file) || file.includes("/node_modules/")) return nativeModule(url);
  if (!sources.has(file)) {
    const filename = path.relative(base, file);
    const source = plain(fs.readFileSync(file, "utf8"), { filename }, 0);
    sources.set(file, sourceModule(source, filename, path.dirname(file), base));
  }
  return sources.get(file);
}

function sourceModule(source, identifier, folder, base) {
  const initializeImportMeta = meta => { meta.url = pathToFileURL(path.resolve(base, identifier)).href; };
  const options = { identifier, initializeImportMeta, ...dynamic(folder, base) };
  const module = compiled(() => new vm.SourceTextModule(source, options));
  folders.set(module, folder);
  return module;
}

async function nativeModule(url) {
  const names = await import(url);
  const keys = Object.keys(names);
  return new vm.SyntheticModule(keys, function () {
    for (const key of keys) this.setExport(key, names[key]);
  });
}

function dynamic(folder, base) {
  const importModuleDynamically = async specifier => {
    const module = await moduleOf(specifier, folder, base);
    if (module.status === "unlinked") await module.link((inner, from) => moduleOf(inner, folders.get(from), base));
    await module.evaluate();
    return module;
  };
  return { importModuleDynamically };
}

// As TypeScript is written: an ending may be left out, or be that of the JavaScript to come.
function resolved(specifier, folder) {
  if (!/^\.{0,2}\//.test(specifier)) {
    return import.meta.resolve(specifier, pathToFileURL(path.join(folder, "code.mjs")).href);
  }
  const wanted = path.resolve(folder, specifier);
  const tries = [wanted, `${wanted}.ts`, `${wanted}.js`, wanted.replace(/\.(m?)js$/, ".$1ts"), `${wanted}/index.ts`];
  const found = tries.find(file => fs.statSync(file, { throwIfNoEntry: false })?.isFile());
  return pathToFileURL(found ?? wanted).href;
}

// ---------------------------------------------------------------------------------------------- types

// Blanks in place of types, so that lines and columns stay; where blanks do not do (enum …), other text.
function plain(source, job, linesBefore) {
  if (!strip) return source;
  for (const mode of ["strip", "transform"]) {
    try {
      return strip(source, { mode });
    } catch (error) {
      if (mode === "strip" && error.code === "ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX") continue;
      throw spelled(error, job, linesBefore);
    }
  }
}

// `stack` begins with ":<line>", then the line and a mark under it
function spelled(error, job, linesBefore) {
  const [place, ...lines] = String(error.stack).split("\n\n")[0].split("\n");
  const line = Number(place.slice(1)) - linesBefore;
  const shown = lines.filter(text => !text.includes("$dipeo_end")).join("\n");
  const told = new SyntaxError(`${error.message} (${job.filename}, line ${line})`);
  return Object.assign(told, { details: shown });
}

function compiled(compile) {
  try {
    return compile();
  } catch (error) {
    if (strip || !(error instanceof SyntaxError)) throw error;
    const advice = `types need Node.js 22.13 or newer, this is ${process.version}: install dipeo-executor[typescript], or set DIPEO_EXECUTOR_NODE`;
    throw Object.assign(new SyntaxError(`${error.message}; if this is TypeScript, ${advice}`), { details: error.stack });
  }
}
