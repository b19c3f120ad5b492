// The service of streams_grpc.py, served by grpc-js: 100 streams a connection, messages of plain bytes.
// Prints its port. `Echo` of "hold" and `Count` at "!" wait until `Echo` of "release"; `Echo` of "held" counts them.

"use strict";

const grpc = require("@grpc/grpc-js");

const ECHO_MS = 20;
const held = new Set();

function method(name, requestStream, responseStream) {
  const asItIs = (bytes) => bytes;
  return {
    path: `/drive.tests.Streams/${name}`,
    requestStream,
    responseStream,
    requestSerialize: asItIs,
    requestDeserialize: asItIs,
    responseSerialize: asItIs,
    responseDeserialize: asItIs,
  };
}

function upper(bytes) {
  return Buffer.from(bytes.toString().toUpperCase());
}

function trailers() {
  const metadata = new grpc.Metadata();
  metadata.set("last", "bye");
  return metadata;
}

function greet(call) {
  const metadata = new grpc.Metadata();
  metadata.set("first", "hello");
  call.sendMetadata(metadata);
}

function failure() {
  return { code: grpc.status.NOT_FOUND, details: "there is no such thing", metadata: trailers() };
}

function hold(call, go) {
  held.add(go);
  call.on("cancelled", () => held.delete(go));
}

function release() {
  for (const go of held) {
    held.delete(go);
    go();
  }
}

function echo(call, answer) {
  greet(call);
  const reply = () => answer(null, upper(call.request), trailers());
  switch (call.request.toString()) {
    case "fail":
      answer(failure());
      break;
    case "hold":
      hold(call, reply);
      break;
    case "held":
      answer(null, Buffer.from(String(held.size)), trailers());
      break;
    case "release":
      release();
      reply();
      break;
    default:
      setTimeout(reply, ECHO_MS);
  }
}

function count(call) {
  greet(call);
  const request = call.request.toString();
  if (request === "fail") {
    call.emit("error", failure());
    return;
  }
  for (const character of request) {
    call.write(Buffer.from(character));
  }
  const end = () => call.end(trailers());
  if (request.endsWith("!")) {
    hold(call, end);
  } else {
    end();
  }
}

function join(call, answer) {
  greet(call);
  const parts = [];
  call.on("data", (part) => parts.push(part));
  call.on("end", () => {
    const joined = Buffer.concat(parts);
    if (joined.toString() === "fail") {
      answer(failure());
    } else {
      answer(null, joined, trailers());
    }
  });
}

function talk(call) {
  greet(call);
  call.on("data", (bytes) => {
    if (bytes.toString() === "fail") {
      call.emit("error", failure());
    } else {
      call.write(upper(bytes));
    }
  });
  call.on("end", () => call.end(trailers()));
}

const server = new grpc.Server({ "grpc.max_concurrent_streams": 100 });
const methods = {
  Echo: method("Echo", false, false),
  Count: method("Count", false, true),
  Join: method("Join", true, false),
  Talk: method("Talk", true, true),
};
server.addService(methods, { Echo: echo, Count: count, Join: join, Talk: talk });
server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, port) => {
  if (error) {
    throw error;
  }
  console.log(port);
});
