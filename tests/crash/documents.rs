//! Documents under fire: what was taken is there to the byte, and no row names a file that is not.
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sha2::{Digest, Sha256};
use tokio::task::JoinHandle;

use super::service::Service;

/// A sender of documents, and what it was told to be kept.
pub struct Documents {
    stop: Arc<AtomicBool>,
    task: JoinHandle<Vec<(i64, String)>>,
}

fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

/// A document of its own, large enough that a kill meets it half way now and then.
fn document(seed: u64, n: u64) -> Vec<u8> {
    let mut bytes = format!("%PDF-1.7 {seed} {n}\n").into_bytes();
    bytes.resize(50_000 + (n as usize * 7919) % 400_000, n as u8);
    bytes
}

impl Documents {
    pub fn start(service: &Service, token: &str, seed: u64) -> Documents {
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, client, token) = (stop.clone(), service.client(), token.to_owned());
        let url = format!("{}/evidence", service.url);
        let task = tokio::spawn(async move {
            let (mut kept, mut n) = (Vec::new(), 0);
            while !stopped.load(Ordering::Relaxed) {
                n += 1;
                let bytes = document(seed, n);
                let mut body = b"--xx\r\nContent-Disposition: form-data; name=\"kind\"\r\n\r\nphoto\r\n--xx\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.pdf\"\r\n\r\n".to_vec();
                body.extend_from_slice(&bytes);
                body.extend_from_slice(b"\r\n--xx--\r\n");
                let request = client.post(&url).bearer_auth(&token);
                let request = request
                    .header("content-type", "multipart/form-data; boundary=xx")
                    .body(body);
                let Ok(answer) = request.send().await else { break };
                if answer.status() == 201
                    && let Ok(told) = answer.json::<serde_json::Value>().await
                {
                    kept.push((told["id"].as_i64().unwrap(), hash(&bytes)));
                }
            }
            kept
        });
        Documents { stop, task }
    }

    /// What was acknowledged.
    pub async fn stop(self) -> Vec<(i64, String)> {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await.unwrap()
    }
}

/// Each is there to the byte.
pub async fn check(service: &Service, token: &str, kept: &[(i64, String)]) {
    for (id, right) in kept {
        let url = format!("{}/evidence/{id}/file", service.url);
        let answer = service.client().get(&url).bearer_auth(token).send().await.unwrap();
        assert_eq!(answer.status(), 200, "document {id} was acknowledged");
        assert_eq!(hash(&answer.bytes().await.unwrap()), *right, "document {id}");
    }
}
