/** Whether the whole text fits a pattern of `*` (anything without "/") and `?`. Linear in pattern times text: no regular expression is made of it. */
export function fitsGlob(pattern: string, text: string): boolean {
  let [at, position] = [0, 0]
  let [star, mark] = [-1, 0]
  while (position < text.length) {
    const wanted = pattern[at]
    if (wanted === '*') {
      star = at++
      mark = position
    } else if (wanted === text[position] || (wanted === '?' && text[position] !== '/')) {
      at++
      position++
    } else if (star >= 0 && text[mark] !== '/') {
      at = star + 1
      position = ++mark
    } else return false
  }
  while (pattern[at] === '*') at++
  return at === pattern.length
}
