// The ordinary job as a Restate service: t1 and t2 at once, then t3, each a durable step. With
// SPAWN=1 a step runs /bin/true, otherwise it does nothing. PORT says where it listens.
import { spawn } from "node:child_process";
import * as restate from "@restatedev/restate-sdk";

// Node 20 lacks it, and the SDK needs it.
Promise.withResolvers ??= () => {
  let resolve, reject;
  const promise = new Promise((a, b) => { resolve = a; reject = b; });
  return { promise, resolve, reject };
};

const step = process.env.SPAWN === "1"
  ? () => new Promise((done, failed) => spawn("/bin/true").on("exit", done).on("error", failed))
  : () => Promise.resolve(0);

const graph = restate.service({
  name: "Graph",
  handlers: {
    run: async (context) => {
      await restate.RestatePromise.all([context.run("t1", step), context.run("t2", step)]);
      await context.run("t3", step);
      return 0;
    },
  },
});
restate.serve({ services: [graph], port: Number(process.env.PORT) });
