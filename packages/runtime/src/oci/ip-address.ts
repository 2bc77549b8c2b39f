const PART = '(25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)'
const IPV4 = new RegExp(`^${PART}(\\.${PART}){3}$`)
const IPV6 = /^[0-9a-f:]+(\d+(\.\d+){3})?$/i

/** Whether it is an address of either kind, without brackets, zone or prefix length. */
export const isIpAddress = (text: string): boolean =>
  IPV4.test(text) || (IPV6.test(text) && URL.canParse(`http://[${text}]/`))
