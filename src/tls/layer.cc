#include "tls/layer.h"

#include <openssl/err.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "net/transport.h"
#include "tls/peer_certificate.h"

namespace weir::tls {

namespace {

// The first records after a pause fit into one TCP segment each, so that the peer can use the first bytes as soon as
// they are there; then come full ones, which cost least.
constexpr std::size_t kSmallRecordBytes = 1390;
constexpr std::size_t kRecordBytes = 16 * 1024;
constexpr std::uint32_t kSmallRecords = 10;
constexpr Duration kPause = 1s;
// Pieces below this are put together into one record.
constexpr std::size_t kOwnRecordBytes = 1024;
// So much is encrypted before it is written.
constexpr std::size_t kBatchBytes = 128 * 1024;
// An unfinished record may wait in OpenSSL: so much more than what is read may come out.
constexpr std::size_t kHeldBytes = 16 * 1024;
constexpr int kHandshakeRounds = 4;
// Tickets, new keys, requests to renegotiate: each costs far more than its few bytes, so nobody gets more of them
// without data in between. (A request for new keys counts twice: it is answered.)
constexpr std::uint32_t kMessagesMax = 32;
// No more than a batch and its last record waits to be written, unless the peer takes none of the answers to those.
constexpr std::size_t kOutgoingBytesMax = kBatchBytes + 64 * 1024;

std::string_view reason_of(unsigned long error) {
  if (ERR_GET_LIB(error) != ERR_LIB_SSL) return "protocol_error";
  const int reason = ERR_GET_REASON(error);
  if (reason >= SSL_AD_REASON_OFFSET) return "alert";
  switch (reason) {
    case SSL_R_HTTP_REQUEST:
    case SSL_R_HTTPS_PROXY_REQUEST:
    case SSL_R_WRONG_VERSION_NUMBER:
    case SSL_R_BAD_RECORD_TYPE:
      return "not_tls";
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_VERSION_TOO_LOW:
      return "unsupported_version";
    case SSL_R_NO_SHARED_CIPHER:
    case SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM:
    case SSL_R_NO_SUITABLE_KEY_SHARE:
    case SSL_R_NO_SUITABLE_GROUPS:
    case SSL_R_NO_SHARED_GROUPS:
      return "no_shared_algorithm";
    case SSL_R_NO_APPLICATION_PROTOCOL:
      return "no_application_protocol";
    case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
      return "no_certificate";
    case SSL_R_CERTIFICATE_VERIFY_FAILED:
      return "bad_certificate";
    default:
      return "protocol_error";
  }
}

}  // namespace

int Layer::bio_read(BIO* bio, char* into, int size) {
  auto& layer = *static_cast<Layer*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  if (layer.incoming_.empty()) {
    BIO_set_retry_read(bio);
    return -1;
  }
  const std::size_t count = std::min(layer.incoming_.size(), static_cast<std::size_t>(size));
  std::copy_n(layer.incoming_.data(), count, into);
  layer.incoming_.remove_prefix(count);
  return static_cast<int>(count);
}

int Layer::bio_write(BIO* bio, const char* from, int size) {
  auto& layer = *static_cast<Layer*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  layer.outgoing_.append({from, static_cast<std::size_t>(size)});
  return size;
}

long Layer::bio_control(BIO*, int command, long, void*) {
  return command == BIO_CTRL_FLUSH ? 1 : 0;
}

// Told when OpenSSL has dealt with a message that came behind the handshake, or has sent one.
void Layer::on_info(const SSL* ssl, int where, int result) {
  if ((where & SSL_CB_EXIT) == 0 || result != 1) return;
  auto& layer = *static_cast<Layer*>(BIO_get_data(SSL_get_rbio(ssl)));
  if (++layer.messages_ <= kMessagesMax) return;
  // The rest of what came is not looked at: neither what is to be decrypted, nor what is left of a record.
  layer.incoming_ = {};
  SSL_set_shutdown(layer.ssl_.get(), SSL_RECEIVED_SHUTDOWN);
}

BioMethodPtr make_bio_method() {
  BioMethodPtr method(BIO_meth_new(BIO_TYPE_SOURCE_SINK | 0x7f, "weir"));
  BIO_meth_set_read(method.get(), Layer::bio_read);
  BIO_meth_set_write(method.get(), Layer::bio_write);
  BIO_meth_set_ctrl(method.get(), Layer::bio_control);
  return method;
}

Layer::Layer(SslPtr ssl, BIO_METHOD* bio_method, BufferPool& buffers, std::shared_ptr<const void> keep_alive)
    : keep_alive_(std::move(keep_alive)), ssl_(std::move(ssl)), outgoing_(buffers), kept_(buffers) {
  BIO* bio = BIO_new(bio_method);
  BIO_set_data(bio, this);
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl_.get(), bio, bio);
}

Layer::~Layer() {
  // A connection that ends without a goodbye would take its session's good name with it.
  if (established_ && !broken_) SSL_set_shutdown(ssl_.get(), SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
}

// Makes incoming_ what is to be decrypted next: what was kept, else what the socket has.
Layer::Fetched Layer::fetch(Engine& engine, SocketId socket, ReadScratch& scratch, std::size_t at_most) {
  const std::span<char> memory = scratch.wire();
  if (!kept_.empty()) {
    const std::size_t size = kept_.size();
    kept_.peek(memory.data(), size);
    kept_.clear();
    incoming_ = {memory.data(), size};
    return {0, IoStatus::ok, 0, false};
  }
  at_most = std::min(at_most, memory.size());
  const IoResult result = engine.read(socket, memory.first(at_most));
  if (result.status != IoStatus::ok) {
    if (result.status == IoStatus::end) peer_fin_ = true;
    return {0, result.status, result.error, true};
  }
  incoming_ = {memory.data(), result.bytes};
  return {result.bytes, IoStatus::ok, 0, result.bytes < at_most};
}

void Layer::keep_incoming() {
  if (!incoming_.empty()) kept_.append(incoming_);
  incoming_ = {};
}

SecureLayer::Handshake Layer::handshake(Engine& engine, SocketId socket, ReadScratch& scratch) {
  using Status = Handshake::Status;
  Handshake result{Status::waiting};
  // A client speaks first.
  bool listen = SSL_is_server(ssl_.get()) != 0 || SSL_get_state(ssl_.get()) != TLS_ST_BEFORE;
  for (int round = 0; round < kHandshakeRounds; ++round) {
    if (listen) {
      const Fetched fetched = fetch(engine, socket, scratch, ReadScratch::kReadBytes);
      result.received += fetched.bytes;
      result.drained = fetched.drained;
      if (fetched.status == IoStatus::would_block) return result;
      if (fetched.status != IoStatus::ok) {
        handshake_failed("closed", "the peer has closed the connection");
        result.status = Status::failed;
        return result;
      }
    }
    listen = true;
    ERR_clear_error();
    const int done = SSL_do_handshake(ssl_.get());
    const bool goes_on = done != 1 && SSL_get_error(ssl_.get(), done) == SSL_ERROR_WANT_READ;
    if (done == 1) {
      established_ = true;
      SSL_set_info_callback(ssl_.get(), &Layer::on_info);
      result.status = Status::done;
      note_peer_certificate();
    } else if (!goes_on) {
      result.status = Status::failed;
      handshake_failed(reason_of(ERR_peek_error()), take_errors());
    }
    keep_incoming();
    if (write_out(engine, socket, result.sent) == FlushResult::failed && result.status != Status::failed) {
      handshake_failed("closed", "the peer has closed the connection");
      result.status = Status::failed;
    }
    if (!goes_on || result.status == Status::failed) return result;
    if (kept_.empty() && result.received > 0 && result.drained) return result;
  }
  result.drained = false;
  return result;
}

void Layer::handshake_failed(std::string_view reason, std::string text) {
  broken_ = true;
  failure_ = reason;
  failure_text_ = std::move(text);
  if (reason != "bad_certificate") return;
  failure_text_ = X509_verify_cert_error_string(SSL_get_verify_result(ssl_.get()));
}

void Layer::note_peer_certificate() {
  if (SSL_is_server(ssl_.get()) == 0) return;
  X509* certificate = SSL_get0_peer_certificate(ssl_.get());
  if (certificate == nullptr || SSL_get_verify_result(ssl_.get()) != X509_V_OK) return;
  peer_certificate_ = std::make_unique<PeerCertificate>(describe(certificate));
}

SecureLayer::Input Layer::read(Engine& engine, SocketId socket, ReadScratch& scratch, std::span<char> into) {
  if (broken_) return {IoStatus::failed, EPROTO};
  if (peer_said_goodbye_) return {IoStatus::end};
  Fetched fetched{0, IoStatus::ok, 0, false};
  if (SSL_pending(ssl_.get()) == 0) {
    fetched = fetch(engine, socket, scratch, into.size() > 2 * kHeldBytes ? into.size() - kHeldBytes : into.size());
  }
  bool broken = false;
  const std::size_t bytes = decrypt(into, broken);
  broken_ = broken || messages_ > kMessagesMax || outgoing_.size() > kOutgoingBytesMax;
  if (bytes > 0) messages_ = 0;
  keep_incoming();
  // An alert, or what the peer asked for in passing, behind what waits.
  if (!outgoing_.empty()) static_cast<void>(write_out(engine, socket, sent_in_reads_));

  Input input{IoStatus::would_block, 0, bytes, fetched.bytes, fetched.drained};
  const bool more = broken_ || peer_said_goodbye_ || !kept_.empty() || SSL_pending(ssl_.get()) > 0;
  if (bytes > 0) {
    input.status = IoStatus::ok;
    if (more) input.drained = false;
  } else if (broken_) {
    input.status = IoStatus::failed;
    input.error = EPROTO;
  } else if (peer_said_goodbye_) {
    input.status = IoStatus::end;
  } else if (fetched.status != IoStatus::ok) {
    input.status = fetched.status;
    input.error = fetched.error;
  }
  return input;
}

std::size_t Layer::decrypt(std::span<char> into, bool& broken) {
  std::size_t total = 0;
  ERR_clear_error();
  while (total < into.size() && (!incoming_.empty() || SSL_pending(ssl_.get()) > 0)) {
    std::size_t count = 0;
    const int done = SSL_read_ex(ssl_.get(), into.data() + total, into.size() - total, &count);
    if (done == 1) {
      total += count;
      continue;
    }
    const int error = SSL_get_error(ssl_.get(), done);
    if (error == SSL_ERROR_WANT_READ) break;
    if (error == SSL_ERROR_ZERO_RETURN) {
      peer_said_goodbye_ = true;
      incoming_ = {};
    } else {
      broken = true;
      incoming_ = {};
    }
    break;
  }
  return total;
}

// False if TLS is broken.
bool Layer::encrypt_some(Buffer& plain, TimePoint now) {
  if (plain.empty()) return true;
  if (now - last_record_ > kPause) small_records_ = 0;
  last_record_ = now;
  ERR_clear_error();
  while (!plain.empty() && outgoing_.size() < kBatchBytes) {
    const bool small = small_records_ < kSmallRecords;
    std::size_t size = std::min(plain.size(), small ? kSmallRecordBytes : kRecordBytes);
    const std::string_view front = plain.front();
    std::array<char, kRecordBytes> gathered;
    const char* from = front.data();
    if (front.size() >= size || front.size() >= kOwnRecordBytes) {
      size = std::min(size, front.size());
    } else {
      plain.peek(gathered.data(), size);
      from = gathered.data();
    }
    std::size_t count = 0;
    if (SSL_write_ex(ssl_.get(), from, size, &count) != 1) return false;
    plain.consume(count);
    if (small) ++small_records_;
  }
  return true;
}

FlushResult Layer::write_out(Engine& engine, SocketId socket, std::size_t& sent) {
  while (!outgoing_.empty()) {
    std::array<iovec, 16> pieces;
    const std::size_t count = outgoing_.gather(pieces);
    std::size_t wanted = 0;
    for (std::size_t i = 0; i < count; ++i) wanted += pieces[i].iov_len;
    const IoResult result = engine.write(socket, {pieces.data(), count}, wanted < outgoing_.size());
    if (result.status == IoStatus::failed) {
      outgoing_.clear();
      return FlushResult::failed;
    }
    if (result.status == IoStatus::would_block) return FlushResult::blocked;
    sent += result.bytes;
    outgoing_.consume(result.bytes);
    if (result.bytes < wanted) return FlushResult::blocked;
  }
  return FlushResult::done;
}

FlushResult Layer::flush(Engine& engine, SocketId socket, Buffer& plain, std::size_t& sent) {
  sent += std::exchange(sent_in_reads_, 0);
  do {
    if (!broken_ && !encrypt_some(plain, engine.now())) broken_ = true;
    if (broken_) plain.clear();
    const FlushResult result = write_out(engine, socket, sent);
    if (result == FlushResult::failed) plain.clear();
    if (result != FlushResult::done) return result;
  } while (!plain.empty());
  if (broken_) return FlushResult::failed;
  if (fin_wanted_ && !fin_sent_) {
    fin_sent_ = true;
    engine.shutdown_write(socket);
  }
  return FlushResult::done;
}

void Layer::note_goodbye() {
  if (!established_ || broken_ || said_goodbye_) return;
  said_goodbye_ = true;
  ERR_clear_error();
  SSL_shutdown(ssl_.get());
}

void Layer::shutdown_write(Engine& engine, SocketId socket) {
  note_goodbye();
  fin_wanted_ = true;
  std::size_t sent = 0;
  if (write_out(engine, socket, sent) == FlushResult::blocked || fin_sent_) return;
  fin_sent_ = true;
  engine.shutdown_write(socket);
}

void Layer::say_goodbye(Engine& engine, SocketId socket) {
  if (!outgoing_.empty() || fin_sent_) return;
  note_goodbye();
  std::size_t sent = 0;
  static_cast<void>(write_out(engine, socket, sent));
}

std::string_view Layer::protocol() const {
  const unsigned char* name = nullptr;
  unsigned int size = 0;
  SSL_get0_alpn_selected(ssl_.get(), &name, &size);
  return {reinterpret_cast<const char*>(name), size};
}

std::string_view Layer::version() const {
  return SSL_get_version(ssl_.get());
}

bool Layer::resumed() const {
  return SSL_session_reused(ssl_.get()) != 0;
}

}  // namespace weir::tls
