// SPDX-License-Identifier: Apache-2.0
//
// For tests: a whole server on the scripted backend, where clients, time and errors are the test's.

#ifndef TINA_HTTP_SITE_H
#define TINA_HTTP_SITE_H

#include <gtest/gtest.h>

#include <cerrno>
#include <memory>
#include <string>

#include "http/http.h"
#include "reactor/scripted.h"
#include "sched/harness.h"

class Site {
  public:
    explicit Site(http_routes routes, http_server server = {}) {
        char sentence[TINA_SENTENCE_BYTES] = "";
        server.port = 80;
        server.routes = routes;
        server.listening = [](void *site, const tina_address *where, const char *, uint32_t) {
            static_cast<Site *>(site)->address = *where;
        };
        server.listening_context = this;
        program_.reset(new http_program);
        EXPECT_TRUE(http_server_spec(&server, program_.get(), sentence)) << sentence;
        program_->spec.call_max = 1000;
        harness.reset(new tina::Harness(program_->spec));
        harness->Settle();
        EXPECT_EQ(address.port, 80);
    }

    tina_scripted_controls &control() {
        return *tina_scripted_control(harness->scripted());
    }

    std::unique_ptr<http_program> program_;
    std::unique_ptr<tina::Harness> harness;
    tina_address address = {};
};

class Client {
  public:
    explicit Client(Site &site) : site_(site) {
        peer_ = tina_scripted_connect(site.harness->scripted(), &site.address);
        EXPECT_GE(peer_.socket, 0);
        site.harness->Settle();
    }

    // Sends all, letting the server run when the pipe is full; stops when the server is gone.
    void send(const std::string &bytes) {
        for (size_t at = 0; at < bytes.size();) {
            int32_t sent = tina_scripted_peer_send(site_.harness->scripted(), peer_, &bytes[at],
                                                   static_cast<uint32_t>(bytes.size() - at));
            if (sent < 0 && sent != -EAGAIN)
                return;
            if (sent > 0)
                at += static_cast<size_t>(sent);
            site_.harness->Settle();
            read();
        }
    }

    // Sends what fits without reading anything, and returns how much that was.
    size_t push(const std::string &bytes) {
        size_t at = 0;
        for (int32_t sent = 1; sent > 0 && at < bytes.size(); at += static_cast<size_t>(sent)) {
            sent = tina_scripted_peer_send(site_.harness->scripted(), peer_, &bytes[at],
                                           static_cast<uint32_t>(bytes.size() - at));
            site_.harness->Settle();
            if (sent <= 0)
                break;
        }
        return at;
    }

    // What came since the last time, and "<end>" or "<error>" when the server's side is closed.
    std::string take() {
        site_.harness->Settle();
        read();
        std::string taken;
        taken.swap(received_);
        return taken;
    }

    std::string ask(const std::string &bytes) {
        send(bytes);
        return take();
    }

    void half_close() {
        tina_scripted_peer_shutdown(site_.harness->scripted(), peer_);
    }
    void close() {
        tina_scripted_peer_close(site_.harness->scripted(), peer_);
    }
    void reset() {
        tina_scripted_peer_reset(site_.harness->scripted(), peer_);
    }

  private:
    void read() {
        char bytes[4096];
        while (!ended_) {
            int32_t count =
                tina_scripted_peer_recv(site_.harness->scripted(), peer_, bytes, sizeof bytes);
            if (count == -EAGAIN)
                return;
            if (count > 0) {
                received_.append(bytes, static_cast<size_t>(count));
                site_.harness->Settle();
                continue;
            }
            received_ += count == 0 ? "<end>" : "<error>";
            ended_ = true;
        }
    }

    Site &site_;
    tina_scripted_peer peer_;
    std::string received_;
    bool ended_ = false;
};

inline std::string StatusOf(const std::string &response) {
    return response.size() < 12 ? response : response.substr(9, 3);
}

inline bool EndsWith(const std::string &text, const std::string &end) {
    return text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
}

#endif
