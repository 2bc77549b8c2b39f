import { Query } from '@berth/engine-api'
import { describe, expect, test } from 'vitest'
import { parseBuildQuery } from './build-query.js'

const parse = (query: Readonly<Record<string, string>>) =>
  parseBuildQuery(new Query(new URLSearchParams(query)))

test('null is absent in every list and map', () => {
  const names = ['buildargs', 'labels', 'cachefrom', 'ulimits']
  expect(parse(Object.fromEntries(names.map((name) => [name, 'null'])))).toEqual(parse({}))
})

describe('where caches come from and go to', () => {
  test.each([
    ['["web:1","type=registry,ref=host/cache:1"]', ['web:1', 'host/cache:1']],
    ['[]', undefined],
    ['null', undefined],
  ])('cachefrom %s', (cachefrom, expected) => {
    expect(parse({ cachefrom }).cacheFrom).toEqual(expected)
  })

  test.each([
    ['type=inline', { type: 'inline' }],
    ['type=registry,ref=host/cache:1', { type: 'registry', reference: 'host/cache:1' }],
    ['ref=host/cache:1,type=registry,mode=max', { type: 'registry', reference: 'host/cache:1' }],
  ])('cacheto %s', (cacheto, expected) => {
    expect(parse({ cacheto }).cacheTo).toEqual(expected)
  })

  test.each([
    [{ cacheto: 'type=local,dest=/tmp' }],
    [{ cacheto: 'type=registry' }],
    [{ cachefrom: '["type=gha"]' }],
    [{ cachefrom: '"web:1"' }],
  ])('%j is refused with what is taken', (query) => {
    expect(() => parse(query)).toThrow(expect.objectContaining({ code: 'build.query_invalid' }))
  })
})
