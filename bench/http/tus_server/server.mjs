// A tus server that keeps uploads in a folder: node server.mjs FOLDER
// Prints a line of JSON with its URL.

import { FileStore } from "@tus/file-store";
import { Server } from "@tus/server";

const [, , directory] = process.argv;
const server = new Server({ path: "/files", relativeLocation: true, datastore: new FileStore({ directory }) });
const listening = server.listen({ host: "127.0.0.1", port: 0 }, () => {
  const { port } = listening.address();
  console.log(JSON.stringify({ event: "Listening", url: `http://127.0.0.1:${port}` }));
});
