// A worker in Node.js: job after job of one execution, with the frames of __init__.py. (node contract 7.4)
// Arguments: BASE, the bytes a value may have, the descriptor of the channel. Its walls stand already (worker.py).
import fs from "node:fs";
import net from "node:net";
import { inspect } from "node:util";
import { asFunction, asModule, Failed, IS_MODULE } from "./node_code.mjs";

const [base, maxValue, channelNumber] = [process.argv[2], Number(process.argv[3]), Number(process.argv[4])];
const STREAM_BYTES = 64 * 1024, TAIL_CHARS = 2 * 1024, MESSAGE_CHARS = 4 * 1024, DETAIL_CHARS = 16 * 1024;
const MAX_DEPTH = 200;
const leave = process.exit.bind(process);

let fail = () => {}; // ends the job that is running
process.on("uncaughtException", error => fail(error));
process.on("unhandledRejection", error => fail(error));
process.exit = code => {
  throw new Failed(`the code ended itself with process.exit(${code ?? ""}); return a value or throw an error`, "ProcessExit");
};

async function answer(job) {
  process.chdir(base);
  process.env.DIPEO_IDEMPOTENCY_KEY = job.idempotency_key;
  try {
    const thrown = new Promise((_, reject) => { fail = reject; });
    const value = encoded(await Promise.race([run(job), thrown]));
    return `{"value":${value},"stdout":${JSON.stringify(printed(1))},"stderr":${JSON.stringify(printed(2))}}`;
  } catch (error) {
    return JSON.stringify({ error: failure(error, job) });
  } finally {
    fail = () => {};
    fs.ftruncateSync(1);
    fs.ftruncateSync(2);
  }
}

async function run(job) {
  const ports = Object.fromEntries(Object.entries(job.inputs).map(([port, value]) => [port, parsed(value)]));
  const context = { ...ports, inputs: { ...job.inputs }, node_id: job.node_id, globals: job.variables };
  const extra = { variables: job.variables, idempotency_key: job.idempotency_key };
  const names = { ...job.variables, ...extra, ...context, inputs: context };
  if (IS_MODULE.test(job.source)) {
    try {
      return await (await asModule(job, names, base))(context);
    } catch (error) {
      if (!(error instanceof SyntaxError) || !compiles(job, names)) throw error; // the words stood in a string
    }
  }
  return await asFunction(job, names, base)(context);
}

function compiles(job, names) {
  try {
    return Boolean(asFunction(job, names, base));
  } catch {
    return false;
  }
}

function parsed(value) {
  if (typeof value !== "string" || !/^\s*[[{]/.test(value)) return value;
  try {
    return JSON.parse(value);
  } catch {
    return value;
  }
}

// Also what child processes wrote: descriptors 1 and 2 are unlinked files in the scratch folder.
function printed(number) {
  const size = Math.min(fs.fstatSync(number).size, STREAM_BYTES);
  return size ? fs.readFileSync(`/proc/self/fd/${number}`).subarray(0, size).toString() : "";
}

// As answers.py: what JSON cannot hold fails, naming its place. Left out, as JSON.stringify does: undefined in a map.
function encoded(value) {
  check(value, null, 0);
  const text = JSON.stringify(value) ?? "null";
  const size = Buffer.byteLength(text);
  if (size <= maxValue) return text;
  const [is, most] = [size, maxValue].map(number => number.toLocaleString("en-US"));
  const advice = "Write it to a file and return its name";
  throw new Failed(`the value is ${is} bytes; at most ${most} can travel on an arrow. ${advice}`, "ValueTooLarge");
}

function check(value, place, depth) {
  const refuse = words => { throw new Failed(`${spelled(place)}${words}`, "ValueNotJson"); };
  if (depth > MAX_DEPTH) throw new Failed(`${spelled(place).slice(0, 80)}… is nested deeper than ${MAX_DEPTH} levels`, "ValueNotJson");
  if (typeof value === "number" && !Number.isFinite(value)) refuse(` is ${value}, which JSON cannot hold; use null or text`);
  if (["function", "symbol", "bigint"].includes(typeof value)) refuse(` is of type ${typeof value}, which JSON cannot hold`);
  if (value === null || typeof value !== "object" || typeof value.toJSON === "function") return;
  if (value instanceof Map || value instanceof Set || value instanceof Promise || ArrayBuffer.isView(value)) {
    refuse(` is of type ${value.constructor.name}, which JSON cannot hold`);
  }
  for (const [key, item] of Object.entries(value)) check(item, [place, Array.isArray(value) ? Number(key) : key], depth + 1);
}

function spelled(place) {
  if (place === null) return "value";
  return typeof place[1] === "number" ? `${spelled(place[0])}[${place[1]}]` : `${spelled(place[0])}.${place[1]}`;
}

// The error as users see it: their own frames only, the file as they named it.
function failure(error, job) {
  const isError = error instanceof Error;
  const message = isError ? error.message || error.name : typeof error === "string" ? error : inspect(error);
  const kind = error?.kind ?? (isError && error.name === "Error" ? error.constructor.name : error?.name ?? "Error");
  let details = error?.details ?? (isError ? ownFrames(error.stack, job) : "");
  const said = printed(1) + printed(2);
  if (said.trim()) details += `\nPrinted before:\n${said.slice(-TAIL_CHARS)}`;
  return { message: message.slice(0, MESSAGE_CHARS), kind, details: details.slice(-DETAIL_CHARS) };
}

function ownFrames(stack, job) {
  const last = job.source.split("\n").length;
  const isTheirs = line => {
    if (/^\s+at .*(node:|node_worker\.mjs|node_code\.mjs)/.test(line)) return false;
    const [, number] = line.match(/:(\d+):\d+\)?$/) ?? [];
    return !line.includes(job.filename) || !number || (Number(number) >= 1 && Number(number) <= last); // our wrapping
  };
  return String(stack).split("\n").filter(isTheirs).join("\n");
}

// ---------------------------------------------------------------------------------------------- the channel

const channel = new net.Socket({ fd: channelNumber });
let received = Buffer.alloc(0);
channel.on("data", async data => {
  received = received.length ? Buffer.concat([received, data]) : data;
  if (received.length < 4 || received.length < 4 + received.readUInt32BE(0)) return;
  const job = JSON.parse(received.subarray(4));
  received = Buffer.alloc(0);
  const bytes = Buffer.from(await answer(job));
  const head = Buffer.alloc(4);
  head.writeUInt32BE(bytes.length);
  channel.write(Buffer.concat([head, bytes]));
});
channel.on("close", () => leave(0));
channel.on("error", () => leave(0));
