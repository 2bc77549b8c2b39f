/** The half of node:net that only looks at text, so that pure files can have it without the half that opens sockets. */
export { isIP, isIPv4 } from 'node:net'
