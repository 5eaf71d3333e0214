"use strict";
// Reads values that reports/packing.py packed: two characters are 13 bits of deflated JSON, low bits first.

/** Code of a character -> the digit that it stands for; 91 of those that can be seen in ASCII. */
const DIGIT_OF_CODE = new Uint8Array(128);
[..."!#$%&'()*+,-./0123456789:;=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[]^_`abcdefghijklmnopqrstuvwxyz{|}~"].forEach(
  (character, digit) => (DIGIT_OF_CODE[character.charCodeAt(0)] = digit),
);

/** @param {string} text */
async function unpacked(text) {
  const inflating = new Blob([packedBytes(text)]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Response(inflating).json();
}

/** @param {string} text */
function packedBytes(text) {
  const digit = (/** @type {number} */ at) => DIGIT_OF_CODE[text.charCodeAt(at)];
  const bytes = new Uint8Array(Math.floor((13 * (text.length - 1)) / 16) - digit(0));
  let [held, bits, end] = [0, 0, 0];
  for (let at = 1; at < text.length; at += 2) {
    held |= (91 * digit(at) + digit(at + 1)) << bits;
    for (bits += 13; bits >= 8; bits -= 8) {
      bytes[end++] = held & 255;
      held >>>= 8;
    }
  }
  return bytes;
}
