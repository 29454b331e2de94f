const API = 'type.googleapis.com/envoy.extensions';

/**
 * A configuration of Envoy, as JSON: classic CONNECT and CONNECT-UDP to any address over HTTP/3, HTTP/2
 * and HTTP/1.1 on one port.
 */
export function envoyConfig(port: number, certificate: string, key: string): string {
  const dns = { name: 'dns', dns_lookup_family: 'V4_ONLY' };
  const upgrades = [{ upgrade_type: 'CONNECT' }, { upgrade_type: 'CONNECT-UDP' }];
  const route = {
    match: { connect_matcher: {} },
    route: {
      cluster: 'target',
      timeout: '0s',
      upgrade_configs: upgrades.map((upgrade) => ({ ...upgrade, connect_config: {} })),
    },
  };
  const manager = (codec: 'AUTO' | 'HTTP3') => ({
    name: 'http',
    typed_config: {
      '@type': `${API}.filters.network.http_connection_manager.v3.HttpConnectionManager`,
      stat_prefix: codec,
      codec_type: codec,
      stream_idle_timeout: '0s',
      route_config: { virtual_hosts: [{ name: 'all', domains: ['*'], routes: [route] }] },
      http2_protocol_options: { allow_connect: true },
      upgrade_configs: upgrades,
      ...(codec === 'HTTP3' ? { http3_protocol_options: { allow_extended_connect: true } } : {}),
      http_filters: [
        {
          name: 'forward',
          typed_config: {
            '@type': `${API}.filters.http.dynamic_forward_proxy.v3.FilterConfig`,
            dns_cache_config: dns,
          },
        },
        { name: 'router', typed_config: { '@type': `${API}.filters.http.router.v3.Router` } },
      ],
    },
  });
  const files = {
    tls_certificates: [{ certificate_chain: { filename: certificate }, private_key: { filename: key } }],
  };
  const address = { address: '127.0.0.1', port_value: port };
  const tcp = {
    name: 'tcp',
    address: { socket_address: address },
    filter_chains: [
      {
        transport_socket: {
          name: 'tls',
          typed_config: {
            '@type': `${API}.transport_sockets.tls.v3.DownstreamTlsContext`,
            common_tls_context: { ...files, alpn_protocols: ['h2', 'http/1.1'] },
          },
        },
        filters: [manager('AUTO')],
      },
    ],
  };
  const udp = {
    name: 'udp',
    address: { socket_address: { ...address, protocol: 'UDP' } },
    udp_listener_config: { quic_options: {}, downstream_socket_config: { prefer_gro: true } },
    filter_chains: [
      {
        transport_socket: {
          name: 'quic',
          typed_config: {
            '@type': `${API}.transport_sockets.quic.v3.QuicDownstreamTransport`,
            downstream_tls_context: { common_tls_context: files },
          },
        },
        filters: [manager('HTTP3')],
      },
    ],
  };
  const cluster = {
    name: 'target',
    lb_policy: 'CLUSTER_PROVIDED',
    cluster_type: {
      name: 'forward',
      typed_config: {
        '@type': `${API}.clusters.dynamic_forward_proxy.v3.ClusterConfig`,
        dns_cache_config: dns,
      },
    },
  };
  return JSON.stringify({ static_resources: { listeners: [tcp, udp], clusters: [cluster] } });
}
