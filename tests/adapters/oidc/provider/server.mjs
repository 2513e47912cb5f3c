// An identity provider on loopback for tests: `node server.mjs` prints its issuer once it listens.
import http from 'node:http';

import { Provider } from 'oidc-provider';

const DEVICE = 'urn:ietf:params:oauth:grant-type:device_code';
const grants = ['authorization_code', 'refresh_token', DEVICE];
// Who is in which groups, as `POST /groups?person=ana&groups=a,b` sets it.
const groups = {};
const person = (id) => ({
  sub: id,
  email: `${id}@example.org`,
  email_verified: id !== 'mallory',
  groups: groups[id] ?? [],
});

const server = http.createServer();
server.listen(0, '127.0.0.1', () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, {
    clients: [
      {
        client_id: 'tidemill',
        application_type: 'native',
        token_endpoint_auth_method: 'none',
        grant_types: grants,
        redirect_uris: ['http://127.0.0.1/callback'],
        response_types: ['code'],
      },
      {
        client_id: 'other',
        client_secret: 'a secret of the other client',
        grant_types: grants,
        redirect_uris: ['https://other.example/callback'],
        response_types: ['code'],
      },
    ],
    claims: { openid: ['sub'], email: ['email', 'email_verified'], groups: ['groups'] },
    // Else an ID token that comes with an access token has no more than the subject.
    conformIdTokenClaims: false,
    features: { deviceFlow: { enabled: true }, devInteractions: { enabled: true } },
    findAccount: (_, id) => ({ accountId: id, claims: () => person(id) }),
    issueRefreshToken: () => true,
  });
  const answer = provider.callback();
  server.on('request', (request, response) => {
    const url = new URL(request.url, issuer);
    if (request.method !== 'POST' || url.pathname !== '/groups') return answer(request, response);
    groups[url.searchParams.get('person')] = url.searchParams.get('groups').split(',').filter(Boolean);
    response.end();
  });
  console.log(`ready ${issuer}`);
});
