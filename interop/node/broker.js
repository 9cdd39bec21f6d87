// Where the broker is, and who the client is there: signed if the environment has a user.
'use strict';

const { INTEROP_ACCESS_KEY: accessKey, INTEROP_SECRET_KEY: accessSecret } = process.env;

module.exports = endpoint => ({
  endpoints: endpoint,
  namespace: '',
  ...(accessKey && { sessionCredentials: { accessKey, accessSecret } }),
});
