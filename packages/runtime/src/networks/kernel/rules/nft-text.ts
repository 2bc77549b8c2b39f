/** One element of a map: what it matches and what follows. */
export type MapElement = readonly [key: string, value: string]

/** A named map; several networks or ports are then one look-up, however many there are. */
export const nftMap = (name: string, type: string, elements: readonly MapElement[], flags = ''): string => {
  const content = elements.map(([key, value]) => `    ${key} : ${value}`).join(',\n')
  return [
    `  map ${name} {`,
    `    type ${type}`,
    ...(flags ? [`    flags ${flags}`] : []),
    ...(elements.length > 0 ? [`    elements = {\n${content}\n    }`] : []),
    '  }',
  ].join('\n')
}

export const nftSet = (name: string, type: string, elements: readonly string[]): string =>
  [
    `  set ${name} {`,
    `    type ${type}`,
    ...(elements.length > 0 ? [`    elements = { ${elements.join(', ')} }`] : []),
    '  }',
  ].join('\n')

export const nftChain = (name: string, rules: readonly string[]): string =>
  [`  chain ${name} {`, ...rules.map((rule) => `    ${rule}`), '  }'].join('\n')
