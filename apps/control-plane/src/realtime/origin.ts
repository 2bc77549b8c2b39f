/** A browser tells where a page came from: only our own pages may open the socket. Other clients send no origin. */
export function mayOpen(origin: string | undefined, host: string | undefined): boolean {
  if (origin === undefined) return true
  return URL.canParse(origin) && new URL(origin).host === host
}
