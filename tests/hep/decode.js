// Reads HEP packets, one a line in hexadecimal digits, and prints what hep-js makes of each as one line of JSON.
const hep = require("hep-js");
const lines = require("fs").readFileSync(0, "utf8").split("\n").filter((line) => line);
for (const line of lines) console.log(JSON.stringify(hep.decapsulate(Buffer.from(line, "hex"))));
