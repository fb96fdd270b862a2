//! The smallest load balancer that Pingora allows: round robin over LAB_BACKENDS, with the fields that every peer adds.
//! benchmarks/peers/README.md describes the variables.

use std::env;
use std::sync::Arc;

use async_trait::async_trait;
use pingora::apps::HttpServerOptions;
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::lb::selection::RoundRobin;
use pingora::lb::LoadBalancer;
use pingora::listeners::tls::TlsSettings;
use pingora::proxy::{http_proxy_service, ProxyHttp, Session};
use pingora::server::configuration::ServerConf;
use pingora::server::Server;
use pingora::upstreams::peer::HttpPeer;
use pingora::Result;
use uuid::Uuid;

struct Balancer {
    backends: Arc<LoadBalancer<RoundRobin>>,
    http2: bool,
    scheme: &'static str,
}

#[async_trait]
impl ProxyHttp for Balancer {
    type CTX = String;

    fn new_ctx(&self) -> String {
        Uuid::new_v4().simple().to_string()
    }

    async fn upstream_peer(&self, _: &mut Session, _: &mut String) -> Result<Box<HttpPeer>> {
        let chosen = self.backends.select(b"", 16).expect("a backend");
        let mut peer = HttpPeer::new(chosen, false, String::new());
        if self.http2 {
            peer.options.set_http_version(2, 2);
            peer.options.max_h2_streams = 1000;
        }
        Ok(Box::new(peer))
    }

    async fn upstream_request_filter(
        &self,
        session: &mut Session,
        request: &mut RequestHeader,
        id: &mut String,
    ) -> Result<()> {
        if let Some(client) = session.client_addr().and_then(|address| address.as_inet()) {
            request.insert_header("x-forwarded-for", client.ip().to_string())?;
        }
        request.insert_header("x-forwarded-proto", self.scheme)?;
        if let Some(host) = request.headers.get("host").cloned() {
            request.insert_header("x-forwarded-host", host)?;
        }
        request.insert_header("x-request-id", id.as_str())?;
        Ok(())
    }

    async fn response_filter(&self, _: &mut Session, answer: &mut ResponseHeader, id: &mut String) -> Result<()> {
        answer.insert_header("x-request-id", id.as_str())?;
        Ok(())
    }
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_default()
}

fn main() {
    let addresses: Vec<String> = variable("LAB_BACKENDS").split(' ').map(str::to_owned).collect();
    let certificate = variable("LAB_TLS_CERT");
    let front_http2 = variable("LAB_FRONT") == "h2";
    let configuration = ServerConf {
        threads: variable("LAB_WORKERS").parse().expect("LAB_WORKERS"),
        upstream_keepalive_pool_size: 1024,
        ..ServerConf::default()
    };
    let mut server = Server::new_with_opt_and_conf(None, configuration);
    server.bootstrap();
    let balancer = Balancer {
        backends: Arc::new(LoadBalancer::try_from_iter(addresses).expect("LAB_BACKENDS")),
        http2: variable("LAB_BACK") == "h2",
        scheme: if certificate.is_empty() { "http" } else { "https" },
    };
    let mut service = http_proxy_service(&server.configuration, balancer);
    if front_http2 && certificate.is_empty() {
        let mut options = HttpServerOptions::default();
        options.h2c = true;
        service.app_logic_mut().expect("not started").server_options = Some(options);
    }
    let address = format!("127.0.0.1:{}", variable("LAB_PORT"));
    if certificate.is_empty() {
        service.add_tcp(&address);
    } else {
        let mut settings = TlsSettings::intermediate(&certificate, &variable("LAB_TLS_KEY")).expect("the certificate");
        if front_http2 {
            settings.enable_h2();
        }
        service.add_tls_with_settings(&address, None, settings);
    }
    server.add_service(service);
    server.run_forever();
}
