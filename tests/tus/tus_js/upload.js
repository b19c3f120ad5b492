// Uploads a file by tus-js-client and says which file it has become: node upload.js ENDPOINT TOKEN FILE CHUNK_BYTES
const fs = require('node:fs')
const tus = require('tus-js-client')

const [endpoint, token, path, chunkBytes] = process.argv.slice(2)

new tus.Upload(fs.createReadStream(path), {
  endpoint,
  headers: { Authorization: `Bearer ${token}` },
  metadata: { filename: 'über.bin', filetype: 'application/octet-stream' },
  chunkSize: Number(chunkBytes) || Infinity,
  retryDelays: Array(100).fill(50),
  onError: (error) => {
    console.error(String(error))
    process.exit(1)
  },
  onSuccess: ({ lastResponse }) => console.log(lastResponse.getHeader('Upload-File-Id')),
}).start()
