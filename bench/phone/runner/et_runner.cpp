// Runs one method of an ExecuTorch program and writes down how long each run took.
//
//   et_runner --version
//   et_runner MODEL METHOD INPUTS OUTPUTS TIMES THREADS WARMUPS RUNS SECONDS MAX_SECONDS
//
// INPUTS: raw little-endian tensors, files joined by commas. OUTPUTS: file names begin so, 0.bin, 1.bin, ... are
// appended. TIMES: int64 nanoseconds of every run, warm-ups excluded. At least RUNS runs and SECONDS seconds of
// them, but no run is begun after MAX_SECONDS. Prints one line of JSON. Setting the inputs is not timed: an
// application fills them in place.

#include <executorch/extension/module/module.h>
#include <executorch/extension/tensor/tensor.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <vector>

namespace executorch::extension::threadpool {
class ThreadPool {  // the wheel has no threadpool.h; these two are in its library
 public:
  size_t get_thread_count() const;
  bool _unsafe_reset_threadpool(uint32_t count);
};
ThreadPool* get_threadpool();
}  // namespace executorch::extension::threadpool

using executorch::extension::Module;
using executorch::runtime::Error;
using executorch::runtime::EValue;
using Clock = std::chrono::steady_clock;

[[noreturn]] void fail(const std::string& what) {
  std::fprintf(stderr, "et_runner: %s\n", what.c_str());
  std::exit(1);
}

void must(Error error, const std::string& what) {
  if (error != Error::Ok) fail(what + ": ExecuTorch error " + std::to_string(static_cast<int>(error)));
}

std::vector<char> read(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) fail("cannot read " + path);
  return {std::istreambuf_iterator<char>(file), {}};
}

void write(const std::string& path, const void* data, size_t bytes) {
  std::ofstream file(path, std::ios::binary);
  if (!file.write(static_cast<const char*>(data), bytes).flush()) fail("cannot write " + path);
}

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

long peak_rss_kb() {  // not getrusage's, which remembers what came before exec
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.rfind("VmHWM:", 0) == 0) return std::stol(line.substr(6));
  return -1;
}

int main(int count, char** arguments) {
  if (count == 2 && std::string(arguments[1]) == "--version") {
    std::printf("et_runner, ExecuTorch %s\n", EXECUTORCH_VERSION);
    return 0;
  }
  if (count != 11) fail("expected --version, or 10 arguments: see the head of et_runner.cpp");
  const std::string model = arguments[1], method = arguments[2], inputs = arguments[3], outputs = arguments[4];
  const size_t threads = std::stoul(arguments[6]), warmups = std::stoul(arguments[7]);
  const size_t runs = std::stoul(arguments[8]);
  const double seconds = std::stod(arguments[9]), max_seconds = std::stod(arguments[10]);

  auto* pool = executorch::extension::threadpool::get_threadpool();
  if (pool == nullptr || !pool->_unsafe_reset_threadpool(threads) || pool->get_thread_count() != threads)
    fail("cannot compute on " + std::to_string(threads) + " threads");

  const auto loading = Clock::now();
  Module module(model, Module::LoadMode::Mmap);
  must(module.load_method(method), "cannot load " + method + " of " + model);
  const double load_seconds = seconds_since(loading);
  const auto meta = module.method_meta(method);
  must(meta.error(), "cannot describe " + method);

  std::vector<std::vector<char>> bytes;
  std::vector<executorch::extension::TensorPtr> tensors;
  std::vector<EValue> values;
  std::stringstream names(inputs);
  for (std::string name; std::getline(names, name, ',');) bytes.push_back(read(name));
  if (bytes.size() != meta->num_inputs()) fail(method + " takes " + std::to_string(meta->num_inputs()) + " inputs");
  for (size_t i = 0; i < bytes.size(); i++) {
    const auto info = meta->input_tensor_meta(i);
    must(info.error(), "input " + std::to_string(i) + " is no tensor");
    if (info->nbytes() != bytes[i].size()) fail("input " + std::to_string(i) + " has the wrong size");
    const auto sizes = info->sizes();
    tensors.push_back(executorch::extension::make_tensor_ptr(
        std::vector<int>(sizes.begin(), sizes.end()), bytes[i].data(), info->scalar_type()));
    values.emplace_back(tensors.back());
  }

  std::vector<EValue> results;
  const auto once = [&] {  // nanoseconds; the plan may use an input's memory again, so all are set each time
    must(module.set_inputs(method, values), "cannot set the inputs of " + method);
    const auto begin = Clock::now();
    auto found = module.execute(method, std::vector<EValue>());
    const auto end = Clock::now();
    must(found.error(), "cannot run " + method);
    results = std::move(*found);
    return static_cast<int64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(end - begin).count());
  };
  for (auto [done, begin] = std::pair(size_t{0}, Clock::now());
       done < warmups && (done == 0 || seconds_since(begin) < max_seconds); done++)
    once();
  std::vector<int64_t> times;
  const auto begin = Clock::now();
  for (double passed = 0; times.empty() || ((times.size() < runs || passed < seconds) && passed < max_seconds);
       passed = seconds_since(begin))
    times.push_back(once());

  write(arguments[5], times.data(), times.size() * sizeof(int64_t));
  for (size_t i = 0; i < results.size(); i++) {
    if (!results[i].isTensor()) fail("output " + std::to_string(i) + " is no tensor");
    const auto tensor = results[i].toTensor();
    write(outputs + std::to_string(i) + ".bin", tensor.const_data_ptr(), tensor.nbytes());
  }
  std::printf("{\"runs\": %zu, \"threads\": %zu, \"outputs\": %zu, \"load_ms\": %.3f, \"peak_rss_kb\": %ld}\n",
              times.size(), pool->get_thread_count(), results.size(), 1e3 * load_seconds, peak_rss_kb());
  return 0;
}
