// Builds every variant of the tracker from its one source file.
// Run it by `python -m local.tracker_build`, which installs the pinned minifier first.

import { createHash } from "node:crypto";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { minify } from "terser";

const house = new URL("../../", import.meta.url);
const room = new URL("chalicelib/tracker/", house);

// FORMS and CROSS_DOMAIN of the debug file follow the program's settings when it is served.
const variants = {
  core: { FORMS: false, CROSS_DOMAIN: false, DEBUG: false },
  forms: { FORMS: true, CROSS_DOMAIN: false, DEBUG: false },
  cross_domain: { FORMS: false, CROSS_DOMAIN: true, DEBUG: false },
  forms_cross_domain: { FORMS: true, CROSS_DOMAIN: true, DEBUG: false },
  debug: { FORMS: "@$FORMS", CROSS_DOMAIN: "@$CROSS_DOMAIN", DEBUG: true },
};

const small = {
  compress: {
    ecma: 2022,
    passes: 4,
    toplevel: true,
    unsafe_arrows: true,
    unsafe_methods: true,
    booleans_as_integers: true,
    pure_funcs: ["log"], // says nothing unless DEBUG
  },
  mangle: { toplevel: true },
  format: { ascii_only: true },
};
const readable = {
  compress: { defaults: false },
  mangle: false,
  format: { ascii_only: true, beautify: true },
};

const sha256 = (text) => createHash("sha256").update(text).digest("hex");

const source = await readFile(new URL("source/refledger.js", room), "utf8");
const files = {};
await mkdir(new URL("built/", room), { recursive: true });
for (const [name, defines] of Object.entries(variants)) {
  const { compress, ...options } = defines.DEBUG ? readable : small;
  const { code } = await minify(source, {
    ...options,
    ecma: 2022,
    compress: { ...compress, global_defs: defines },
  });
  files[`${name}.js`] = sha256(code + "\n");
  await writeFile(new URL(`built/${name}.js`, room), code + "\n");
}

// A test holds these together: a change of the source or of the recipe asks for a new build.
const madeFrom = {};
for (const path of [
  "chalicelib/tracker/source/refledger.js",
  "local/tracker_build/build.mjs",
  "local/tracker_build/package-lock.json",
])
  madeFrom[path] = sha256(await readFile(new URL(path, house), "utf8"));
const record = { made_from: madeFrom, files };
await writeFile(new URL("built/built.json", room), JSON.stringify(record, null, 2) + "\n");
