// A guest book: notes are rows of PostgreSQL, visits a counter of the cache. It speaks both protocols itself, so that it needs no packages.
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { connect } from 'node:net'

const { DATABASE_HOST = 'db', CACHE_HOST = 'cache' } = process.env
const int32 = (number) => {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(number)
  return bytes
}
const text = (value) => Buffer.from(`${value}\0`)
const message = (type, body) => Buffer.concat([Buffer.from(type), int32(body.length + 4), body])

/** One statement over one connection (protocol 3.0, simple query); rows of text. */
function query(statement) {
  return new Promise((resolve, reject) => {
    const socket = connect(5432, DATABASE_HOST)
    const rows = []
    let failure
    let isAsked = false
    let rest = Buffer.alloc(0)
    const startup = Buffer.concat([int32(196_608), text('user'), text('postgres'), Buffer.from([0])])
    socket.write(Buffer.concat([int32(startup.length + 4), startup]))
    socket.setTimeout(5_000, () => socket.destroy(new Error('the database does not answer')))
    socket.on('error', reject)
    socket.on('close', () => (failure ? reject(new Error(failure)) : resolve(rows)))
    socket.on('data', (chunk) => {
      rest = Buffer.concat([rest, chunk])
      while (rest.length >= 5 && rest.length > rest.readInt32BE(1)) {
        const end = 1 + rest.readInt32BE(1)
        const [type, body] = [String.fromCharCode(rest[0]), rest.subarray(5, end)]
        rest = rest.subarray(end)
        if (type === 'E') failure = body.toString()
        if (type === 'D') rows.push(cells(body))
        if (type !== 'Z') continue
        if (isAsked) socket.end(message('X', Buffer.alloc(0)))
        else socket.write(message('Q', text(statement)))
        isAsked = true
      }
    })
  })
}

function cells(body) {
  const values = []
  for (let at = 2, left = body.readInt16BE(0); left > 0; left--) {
    const length = body.readInt32BE(at)
    values.push(length < 0 ? null : body.toString('utf8', at + 4, at + 4 + length))
    at += 4 + Math.max(length, 0)
  }
  return values
}

/** One command of the cache; its first answer line. */
function cached(...words) {
  return new Promise((resolve, reject) => {
    const socket = connect(6379, CACHE_HOST)
    socket.setTimeout(5_000, () => socket.destroy(new Error('the cache does not answer')))
    socket.on('error', reject)
    socket.once('data', (answer) => {
      socket.destroy()
      resolve(answer.toString().split('\r\n')[0])
    })
    socket.write(`*${words.length}\r\n${words.map((word) => `$${word.length}\r\n${word}\r\n`).join('')}`)
  })
}

async function answer({ method, url }) {
  const { pathname, searchParams } = new URL(url, 'http://web')
  if (pathname !== '/notes') return { greeting: readFileSync('/app/greeting', 'utf8').trim() }
  await query('CREATE TABLE IF NOT EXISTS note (id serial PRIMARY KEY, body text NOT NULL)')
  if (method === 'POST') {
    const body = (searchParams.get('body') ?? '').replaceAll("'", "''")
    await query(`INSERT INTO note (body) VALUES ('${body}')`)
  }
  const visits = Number((await cached('INCR', 'visits')).replace(':', ''))
  const rows = await query('SELECT body FROM note ORDER BY id')
  return { visits, notes: rows.map(([body]) => body) }
}

const server = createServer(async (request, response) => {
  try {
    response.end(JSON.stringify(await answer(request)))
  } catch (error) {
    response.statusCode = 500
    response.end(String(error))
  }
})
server.listen(8080, () => console.log('web is ready'))
process.on('SIGTERM', () => process.exit(0))
