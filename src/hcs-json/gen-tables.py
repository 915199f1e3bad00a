#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Turns schema/*-schema.json into C tables (schema.h): gen-tables.py NAME SCHEMA.json OUT.c"""
import json
import sys

WIDTHS = {'uint8': 'HCS_U8', 'uint16': 'HCS_U16', 'uint32': 'HCS_U32', 'uint64': 'HCS_U64',
          'int32': 'HCS_I32', 'int64': 'HCS_I64'}
FORMATS = {'guid': 'HCS_GUID', 'date-time': 'HCS_DATE_TIME', 'base64': 'HCS_BASE64',
           'mac': 'HCS_MAC', 'ip': 'HCS_IP'}
KEYS = {'string': 'HCS_STRING', 'Guid': 'HCS_GUID', **WIDTHS}
# In the HCN schema clients spell the identity both ways.
ALIASES = {'ID': 'Id', 'Id': 'ID'}


def fail(text):
    sys.exit('gen-tables.py: ' + text)


def quoted(text):
    return 'NULL' if text is None else json.dumps(text)


def minor(version):
    """"2.3" is 3; unknown is 0."""
    return int(version.split('.')[1]) if version else 0


def scalar(where, json_type, fmt):
    """The kind of a value that refers to no type."""
    if json_type == 'integer':
        return WIDTHS.get(fmt) or fail(f'{where}: integer of format {fmt}')
    if json_type == 'string':
        return FORMATS.get(fmt, 'HCS_STRING')
    kinds = {'boolean': 'HCS_BOOL', 'number': 'HCS_DOUBLE', 'any': 'HCS_ANY', 'object': 'HCS_ANY'}
    return kinds.get(json_type) or fail(f'{where}: type {json_type}')


class Table:
    def __init__(self, name, schema):
        self.name = name
        self.types = {n: t for n, t in sorted(schema.items()) if not n.startswith('_')}
        self.index = {n: i for i, n in enumerate(self.types)}
        self.paths = schema.get('_resource_paths', [])

    def type_ref(self, name):
        return f'&types[{self.index[name]}]' if name in self.index else 'NULL'

    def kind(self, where, field):
        ref = field.get('ref')
        if ref in self.types and self.types[ref]['kind'] == 'struct':
            return 'HCS_OBJECT', ref
        if ref in self.types and field['json_type'] == 'string':
            return 'HCS_ENUM', ref
        if field.get('map'):
            return scalar(where, field['value_type'], field.get('value_format')), None
        return scalar(where, field['json_type'], field.get('format')), None

    def field(self, owner, field):
        where = f"{owner}.{field['name']}"
        # One type of the published OpenAPI files is written as a .NET class name.
        if field['json_type'].startswith('CaseInsensitiveStringMap<'):
            ref = field['json_type'].rstrip('>').rsplit('.', 1)[1]
            field = {**field, 'json_type': 'object', 'map': True, 'map_key': 'string',
                     'value_type': 'object', 'ref': ref}
        kind, ref = self.kind(where, field)
        parts = [f".name = {quoted(field['name'])}", f'.kind = {kind}']
        if ref:
            parts.append(f'.type = {self.type_ref(ref)}')
        alias = field.get('also_key') or (ALIASES.get(field['name']) if self.name == 'hcn' else None)
        if alias:
            parts.append(f'.alias = {quoted(alias)}')
        if field['array']:
            parts.append('.shape = HCS_ARRAY')
            if field.get('array_length'):
                parts.append(f".length = {field['array_length']}")
        elif field.get('map'):
            parts.append('.shape = HCS_MAP')
            parts.append(f".key = {KEYS[field['map_key']]}")
        if minor(field.get('since_schema_version')):
            parts.append(f".since = {minor(field['since_schema_version'])}")
        return '{' + ', '.join(parts) + '}'

    def members(self):
        for i, (name, t) in enumerate(self.types.items()):
            if t['kind'] == 'struct' and t['fields']:
                yield f'static const struct hcs_field fields_{i}[] = {{ /* {name} */'
                yield from (f'        {self.field(name, f)},' for f in t['fields'])
                yield '};'
            elif t['kind'] != 'struct':
                yield f'static const char *const values_{i}[] = {{ /* {name} */'
                yield from (f'        {quoted(v)},' for v in t['enum'])
                yield '};'

    def type_rows(self):
        for i, (name, t) in enumerate(self.types.items()):
            parts = [f'.name = {quoted(name)}']
            if t['kind'] != 'struct':
                parts += ['.is_enum = true', f'.values = values_{i}', f".n = {len(t['enum'])}"]
                if t.get('empty_string_alias'):
                    parts.append('.empty_is_value = true')
            elif t['fields']:
                parts += [f'.fields = fields_{i}', f".n = {len(t['fields'])}"]
            yield '        {' + ', '.join(parts) + '},'

    def path_rows(self):
        for p in self.paths:
            settings = p['settings_type']
            scalar_kind = WIDTHS.get(settings)
            parts = [f".path = {quoted(p['path'])}"]
            if scalar_kind:
                parts.append(f'.kind = {scalar_kind}')
            elif settings:
                if settings not in self.types:
                    fail(f"{p['path']}: unknown type {settings}")
                parts += ['.kind = HCS_OBJECT', f'.type = {self.type_ref(settings)}']
            for request in p['request_types']:
                parts.append(f'.{request.lower()} = true')
            yield '        {' + ', '.join(parts) + '},'

    def emit(self):
        yield '/* Made by gen-tables.py. */'
        yield '#include "hcs-json/schema.h"'
        yield f'static const struct hcs_type types[{len(self.types)}];'
        yield from self.members()
        yield f'static const struct hcs_type types[{len(self.types)}] = {{'
        yield from self.type_rows()
        yield '};'
        if self.paths:
            yield 'static const struct hcs_resource resources[] = {'
            yield from self.path_rows()
            yield '};'
        yield f'const struct hcs_schema hcs_schema_{self.name} = {{'
        yield f'        .types = types, .n_types = {len(self.types)},'
        if self.paths:
            yield f'        .resources = resources, .n_resources = {len(self.paths)},'
        yield '};'


def main():
    name, source, target = sys.argv[1:]
    with open(source, encoding='utf-8') as f:
        table = Table(name, json.load(f))
    with open(target, 'w', encoding='utf-8') as f:
        f.write('\n'.join(table.emit()) + '\n')


main()
