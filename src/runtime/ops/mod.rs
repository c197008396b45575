//! The fixed list of ops: everything that the script can reach outside itself.
//!
//! Each op is a thin shell over a plain function elsewhere; `js/ops.d.ts` types them for the script,
//! and a test compares the two lists. The engine's own ops that could print, panic, or touch files
//! and resources are switched off.

pub(super) mod clock;
mod crypto;
mod host;
pub(super) mod session_map;
pub(super) mod socket;
pub(super) mod storage;

use std::panic::{AssertUnwindSafe, catch_unwind};

use deno_core::{Extension, OpDecl, v8};
use deno_error::JsErrorBox;
use futures::FutureExt;

pub(super) use host::{Host, HostMessage};

/// Ops of the engine that the script has no business with. They stay where the engine's own script
/// looks for them; a call does nothing and throws.
const DISABLED: [&str; 30] = [
    "op_print",
    "op_panic",
    "op_read",
    "op_read_all",
    "op_read_sync",
    "op_write",
    "op_write_all",
    "op_write_sync",
    "op_write_type_error",
    "op_shutdown",
    "op_pipe",
    "op_is_terminal",
    "op_close",
    "op_try_close",
    "op_resources",
    "op_import_sync",
    "op_import_sync_with_source",
    "op_lazy_load_esm",
    "op_load_ext_script",
    "op_add_main_module_handler",
    "op_wasm_streaming_feed",
    "op_wasm_streaming_set_url",
    "op_set_wasm_streaming_callback",
    "op_abort_wasm_streaming",
    "op_compile_function",
    "op_eval_context",
    "op_cancel_handle",
    "op_cancel_read",
    "op_serialize",
    "op_deserialize",
];

deno_core::extension!(
    caro,
    ops = [
        clock::op_clock_now,
        clock::op_clock_monotonic,
        clock::op_log,
        crypto::op_crypto_random,
        crypto::op_crypto_signer_id,
        crypto::op_crypto_sealer_id,
        crypto::op_crypto_sign,
        crypto::op_crypto_verify,
        crypto::op_crypto_blake3,
        crypto::op_crypto_short_hash,
        crypto::op_crypto_encrypt,
        crypto::op_crypto_decrypt,
        crypto::op_crypto_seal,
        crypto::op_crypto_unseal,
        crypto::op_crypto_seal_for_group,
        crypto::op_crypto_unseal_for_group,
        session_map::op_session_map_new,
        session_map::op_session_map_free,
        session_map::op_session_map_bytes,
        session_map::op_session_map_size,
        session_map::op_session_map_names,
        session_map::op_session_map_collect,
        session_map::op_session_map_header,
        session_map::op_session_map_add,
        session_map::op_session_map_make_private,
        session_map::op_session_map_make_trusting,
        session_map::op_session_map_session_ids,
        session_map::op_session_map_count,
        session_map::op_session_map_transaction,
        session_map::op_session_map_transactions,
        session_map::op_session_map_last_signature,
        session_map::op_session_map_signature_after,
        session_map::op_session_map_checkpoint,
        session_map::op_session_map_known_state,
        session_map::op_session_map_known_state_streaming,
        session_map::op_session_map_is_streaming,
        session_map::op_session_map_set_streaming,
        session_map::op_session_map_mark_deleted,
        session_map::op_session_map_is_deleted,
        session_map::op_session_map_decrypt,
        session_map::op_session_map_decrypt_meta,
        storage::op_sql_run,
        storage::op_sql_query,
        storage::op_sql_flush,
        socket::op_socket_connect,
        socket::op_socket_send,
        socket::op_socket_send_content,
        socket::op_socket_buffered,
        socket::op_socket_receive,
        socket::op_socket_await,
        socket::op_socket_arrivals,
        socket::op_socket_take,
        socket::op_socket_close,
        socket::op_socket_ending,
        socket::op_socket_refuse,
        socket::op_socket_claim,
        host::op_host_receive,
        host::op_host_reply,
        host::op_host_event,
    ],
);

/// Our ops, with the engine's unneeded ones switched off.
pub(super) fn extension() -> Extension {
    let mut extension = caro::init();
    extension.middleware_fn = Some(Box::new(|op: OpDecl| if DISABLED.contains(&op.name) { op.disable() } else { op }));
    extension
}

/// Runs an op's body so that a bug in it is an exception in the script. Without this a panic would
/// have to unwind through the engine's C frames, which ends the process.
fn guarded<T>(body: impl FnOnce() -> Result<T, JsErrorBox>) -> Result<T, JsErrorBox> {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|_| {
        tracing::error!("an op panicked");
        Err(JsErrorBox::generic("internal error in an op"))
    })
}

/// [`guarded`] for an op that waits.
async fn guarded_async<T>(body: impl Future<Output = Result<T, JsErrorBox>>) -> Result<T, JsErrorBox> {
    AssertUnwindSafe(body).catch_unwind().await.unwrap_or_else(|_| {
        tracing::error!("an op panicked");
        Err(JsErrorBox::generic("internal error in an op"))
    })
}

/// An error of one of our modules as an exception.
fn exception(error: impl std::fmt::Display) -> JsErrorBox {
    JsErrorBox::generic(error.to_string())
}

/// A text of the script, for ops that are handed long ones: the engine's own conversion, which `#[string]` is, goes through
/// UTF-16 several times on QuickJS.
///
/// # Errors
///
/// Where there is no memory left for it, which the engine tells by giving nothing.
fn text(isolate: &v8::Isolate, string: &v8::String) -> Result<String, JsErrorBox> {
    let mut bytes = vec![0; string.utf8_length(isolate)];
    let written = string.write_utf8_v2(isolate, &mut bytes, v8::WriteFlags::kReplaceInvalidUtf8, None);
    bytes.truncate(written);
    if bytes.is_empty() && string.length() > 0 {
        return Err(JsErrorBox::range_error("out of memory"));
    }
    Ok(String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
}
