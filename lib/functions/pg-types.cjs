'use strict';

/*
 * Takes the place of the package pg-types, of which it uses the parsers of text. No function requests values in binary format, or looks
 * up the names of types.
 */
const arrayParser = require('../../node_modules/pg-types/lib/arrayParser.js');
const textParsers = require('../../node_modules/pg-types/lib/textParsers.js');

const parsers = { text: {}, binary: {} };
textParsers.init((oid, parse) => {
  parsers.text[oid] = parse;
});

exports.arrayParser = arrayParser;
exports.getTypeParser = (oid, format = 'text') => parsers[format]?.[oid] ?? String;
exports.setTypeParser = (oid, format, parse) => {
  if (parse === undefined) parsers.text[oid] = format;
  else parsers[format][oid] = parse;
};
