/* A simulated libnvidia-ml.so.1: power follows a known waveform, so the exact energy between any two times is known.
 *
 * It reads `key value` lines from the file that SIMULATED_NVML names, at each nvmlInit; `1.key value` is for the second GPU alone.
 * Times count from `origin_s` on CLOCK_MONOTONIC. The keys and what they are when absent:
 *
 *   devices 1, init_error 0, driver "simulated 1.0", name "Simulated GPU", uuid "GPU-simulated-<index>"
 *   wave constant|square|ramp|sine|edges (low, and high while the load is on whose edges `edges_file` holds: native doubles, on and off in turn, s on
 *     CLOCK_MONOTONIC)|step (low, and high from step_at_s on), low_w 50, high_w 150, wave_period_s 0.3, duty 0.5           the true power
 *   counter 1, update_period_s 0.1, lag_s 0, counter_from_gauge 0 (sums part-time readings)       the energy counter
 *   gauge_period_s 0.1, window_s 0.025 (field 186), average_window_s 1 (field 185), usage_window_s 1 (nvmlDeviceGetPowerUsage)
 *   field_instant 1, field_average 1, power_usage 1, gain 1, offset_w 0, counter_gain 1 (of the counter alone)
 *   reset_at_s, stuck_at_s, back_at_s with back_j 5, absurd_at_s (3.7 MW), error_at_s, error_until_s, error_code 15     never
 *   temperature_c 45, heat_c_per_w 0, sm_clock_mhz 1400, utilization 50, memory_used_bytes 1e9, reasons 0, limit_w 300, limit_default_w limit_w
 *   call_s 0 (how long each query of a device takes), call_spins 0 (1: it takes that of a core)
 *   mig -1 (not supported), pids 0 (how many, from 1000 on), hide_pids 0, conditions 1
 *   busy_from_s (never): until then `utilization_before` and `memory_used_before` are shown, where they are given
 *   process_pids "" (numbers parted by blanks, instead of `pids`), process_memory_bytes 1048576 (-1: not reported), processes_v3 1
 *   memory_clock_mhz 2619, sm_clock_application_mhz 1980, memory_clock_application_mhz 2619, ecc 1, ecc_corrected 0, ecc_uncorrected 0
 *   pcie_generation 5, pcie_width 16, pcie_generation_max 5, pcie_width_max 16, capability 90, cuda 12080, compute_mode 0
 *   memory_temperature_c 50 (0: no sensor), power_capped 0, slowed 0 (shares of the time that the cumulative counters show, both ways to read them)
 *   memory_reserved_bytes 0 (in what version 1 of the memory's state calls used, not in version 2)
 *   SIMULATED_NVML_LOST, an environment variable: while the file that it names exists, each query of a device fails with error_code
 *   refuse_WHAT 0 (an error code): application_clocks, ecc, ecc_errors, pcie, capability, cuda, memory_v2, violation_fields, violation_status,
 *   memory_temperature, memory_clock, compute_mode, processes
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { SUCCESS, UNINITIALIZED, INVALID_ARGUMENT, NOT_SUPPORTED, NO_PERMISSION, INSUFFICIENT_SIZE = 7, LIBRARY_NOT_FOUND = 12, FUNCTION_NOT_FOUND };
enum { MAX_KEYS = 128, MAX_DEVICES = 8 };

typedef struct { int index; } Device;
typedef struct { unsigned field, scope; long long timestamp, latency_us; unsigned type, status; union { double d; unsigned ui; unsigned long long ull; } value; } Field;
typedef struct { unsigned gpu, memory; } Utilization;
typedef struct { unsigned long long total, free, used; } Memory;
typedef struct { unsigned version; unsigned long long total, reserved, free, used; } MemoryV2;
typedef struct { unsigned long long reference_us, lasted_ns; } Violation;
typedef struct { unsigned pid; unsigned long long memory; unsigned gpu_instance, compute_instance; } Process;

static Device devices[MAX_DEVICES], instances[MAX_DEVICES]; /* a MIG card has one instance, `MIG-simulated-<index>`, with index + MAX_DEVICES */
static char keys[MAX_KEYS][64], values[MAX_KEYS][256];
static int n_keys;

static const char *text(int device, const char *key, const char *absent) {
    char own[80];
    snprintf(own, sizeof own, "%d.%s", device, key);
    for (int i = 0; i < n_keys; i++) if (!strcmp(keys[i], own)) return values[i];
    for (int i = 0; i < n_keys; i++) if (!strcmp(keys[i], key)) return values[i];
    return absent;
}

static double number(int device, const char *key, double absent) {
    const char *found = text(device, key, NULL);
    return found ? atof(found) : absent;
}

static int load(void) {
    const char *path = getenv("SIMULATED_NVML");
    FILE *file = path ? fopen(path, "r") : NULL;
    if (!file) return LIBRARY_NOT_FOUND;
    for (n_keys = 0; n_keys < MAX_KEYS && fscanf(file, "%63s %255[^\n]", keys[n_keys], values[n_keys]) == 2; n_keys++) {}
    fclose(file);
    for (int i = 0; i < MAX_DEVICES; i++) devices[i].index = i, instances[i].index = i + MAX_DEVICES;
    return SUCCESS;
}

/* --- the truth --- */

static double monotonic_s(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec + now.tv_nsec * 1e-9;
}

static double now_s(int device) { return monotonic_s() - number(device, "origin_s", 0); }

/* How long the load was on until a time on CLOCK_MONOTONIC, s: a process appends the edges to a file, of which the new ones and the last two are read. */
static double loaded_s(int device, double until) {
    static double edges[1 << 16], before[1 << 15]; /* before: how long it was on before each time that it was switched on */
    static int n;
    FILE *file = fopen(text(device, "edges_file", ""), "rb");
    if (file) {
        int from = n > 2 ? (n - 2) & ~1 : 0; /* the end of the last burst may have moved */
        fseek(file, (long)(from * sizeof(double)), SEEK_SET);
        for (int k = from; k < (1 << 16) && fread(&edges[k], sizeof(double), 1, file) == 1; n = ++k > n ? k : n)
            if (k % 2 == 0) before[k / 2] = k ? before[k / 2 - 1] + edges[k - 1] - edges[k - 2] : 0;
        fclose(file);
    }
    int low = 0, high = (n + 1) / 2; /* the last burst that began before */
    while (low < high) {
        int middle = (low + high) / 2;
        if (edges[2 * middle] < until) low = middle + 1; else high = middle;
    }
    if (!low) return 0;
    double off = 2 * low - 1 < n ? edges[2 * low - 1] : INFINITY;
    return before[low - 1] + fmin(off, until) - edges[2 * low - 2];
}

/* Energy since t = 0, J. */
static double wave_j(int device, double t) {
    const char *wave = text(device, "wave", "constant");
    double low = number(device, "low_w", 50), high = number(device, "high_w", 150), period = number(device, "wave_period_s", 0.3);
    double rounds = floor(t / period), part = t - rounds * period;
    if (!strcmp(wave, "square")) {
        double on = number(device, "duty", 0.5) * period;
        return rounds * (high * on + low * (period - on)) + high * fmin(part, on) + low * fmax(part - on, 0);
    }
    if (!strcmp(wave, "ramp")) return rounds * period * (low + high) / 2 + low * part + (high - low) * part * part / (2 * period);
    if (!strcmp(wave, "sine")) return (low + high) / 2 * t + (high - low) / 2 * period / (2 * M_PI) * (1 - cos(2 * M_PI * t / period));
    if (!strcmp(wave, "edges")) return low * t + (high - low) * loaded_s(device, t + number(device, "origin_s", 0));
    if (!strcmp(wave, "step")) return low * t + (high - low) * fmax(t - number(device, "step_at_s", INFINITY), 0);
    return high * t;
}

/* For the tests: exact energy between two times on CLOCK_MONOTONIC, J. */
double simulated_energy_j(int device, double start_s, double end_s) {
    double origin = number(device, "origin_s", 0);
    return wave_j(device, end_s - origin) - wave_j(device, start_s - origin);
}

/* --- what the sensor shows of it --- */

static double gauge_w(int device, double t, const char *window_key, double window_absent) {
    if (t >= number(device, "absurd_at_s", INFINITY)) return 3.7e6;
    double period = number(device, "gauge_period_s", 0.1), window = number(device, window_key, window_absent);
    double at = floor(fmin(t, number(device, "stuck_at_s", INFINITY)) / period) * period;
    double watts = (wave_j(device, at) - wave_j(device, at - window)) / window;
    return number(device, "gain", 1) * watts + number(device, "offset_w", 0);
}

static double shown_j(int device, double t) {
    double period = number(device, "update_period_s", 0.1);
    t = fmin(t, number(device, "stuck_at_s", INFINITY)) - number(device, "lag_s", 0);
    double at = floor(t / period) * period, sum = 0;
    if (!number(device, "counter_from_gauge", 0)) return number(device, "counter_gain", 1) * number(device, "gain", 1) * wave_j(device, at) + number(device, "offset_w", 0) * at;
    for (double u = 0; u < at; u += period) sum += gauge_w(device, u, "window_s", 0.025) * period;
    return sum;
}

static double counter_j(int device) {
    double t = now_s(device), reset = number(device, "reset_at_s", INFINITY);
    double joules = number(device, "counter_start_j", 1000) + shown_j(device, t);
    if (t >= reset) joules = shown_j(device, t) - shown_j(device, reset);
    return t >= number(device, "back_at_s", INFINITY) ? joules - number(device, "back_j", 5) : joules;
}

/* What a query costs: a real driver waits for the card. */
static void wait_for_card(int device) {
    double call = number(device, "call_s", 0), until = monotonic_s() + call;
    if (call <= 0) return;
    if (number(device, "call_spins", 0)) { while (monotonic_s() < until) {} return; }
    struct timespec left = {(time_t)call, (long)((call - (time_t)call) * 1e9)};
    nanosleep(&left, NULL);
}

/* The error that is due now on this device, or success. */
static int fault(int device) {
    wait_for_card(device);
    double t = now_s(device);
    const char *lost = getenv("SIMULATED_NVML_LOST");
    if (lost && !access(lost, F_OK)) return (int)number(device, "error_code", 15);
    if (t >= number(device, "error_at_s", INFINITY) && t < number(device, "error_until_s", INFINITY)) return (int)number(device, "error_code", 15);
    return SUCCESS;
}

/* The error that is due now on this device, or the one that is set for this kind of question, or success. */
static int refusal(Device *device, const char *what) {
    char key[64];
    int error = fault(device->index);
    snprintf(key, sizeof key, "refuse_%s", what);
    if (!error && !number(device->index, "conditions", 1)) return NOT_SUPPORTED;
    return error ? error : (int)number(device->index, key, 0);
}

/* What a card shows of its load before `busy_from_s`, and from then on. */
static double busy(int device, const char *before, const char *key, double absent) {
    double from_s = number(device, "busy_from_s", INFINITY), value = number(device, key, absent);
    return now_s(device) < from_s ? number(device, before, value) : value;
}

static int answer(Device *device, const char *supported, unsigned *out, double value) {
    int error = fault(device->index);
    if (error) return error;
    if (supported && !number(device->index, supported, 1)) return NOT_SUPPORTED;
    *out = (unsigned)llround(value);
    return SUCCESS;
}

/* --- the library's own functions --- */

int nvmlInitWithFlags(unsigned flags) {
    int error = load();
    (void)flags;
    return error ? error : (int)number(-1, "init_error", 0);
}
int nvmlInit_v2(void) { return nvmlInitWithFlags(0); }
int nvmlShutdown(void) { return SUCCESS; }
const char *nvmlErrorString(int code) { (void)code; return "simulated error"; }
int nvmlSystemGetDriverVersion(char *out, unsigned length) { snprintf(out, length, "%s", text(-1, "driver", "simulated 1.0")); return SUCCESS; }
int nvmlDeviceGetCount_v2(unsigned *out) { *out = (unsigned)number(-1, "devices", 1); return SUCCESS; }
int nvmlDeviceGetHandleByIndex_v2(unsigned index, Device **out) {
    if (index >= number(-1, "devices", 1)) return INVALID_ARGUMENT;
    *out = &devices[index];
    return SUCCESS;
}
int nvmlDeviceGetName(Device *d, char *out, unsigned length) { snprintf(out, length, "%s", text(d->index, "name", "Simulated GPU")); return SUCCESS; }
int nvmlDeviceGetUUID(Device *d, char *out, unsigned length) {
    char own[40];
    snprintf(own, sizeof own, "GPU-simulated-%d", d->index);
    snprintf(out, length, "%s", text(d->index, "uuid", own));
    return SUCCESS;
}
int nvmlDeviceGetHandleByUUID(const char *uuid, Device **out) {
    char own[40];
    for (int i = 0; i < number(-1, "devices", 1); i++) {
        snprintf(own, sizeof own, "MIG-simulated-%d", i);
        if (number(i, "mig", -1) > 0 && !strcmp(uuid, own)) { *out = &instances[i]; return SUCCESS; }
    }
    return INVALID_ARGUMENT;
}
int nvmlDeviceGetDeviceHandleFromMigDeviceHandle(Device *d, Device **out) {
    if (d->index < MAX_DEVICES) return INVALID_ARGUMENT;
    *out = &devices[d->index - MAX_DEVICES];
    return SUCCESS;
}
int nvmlDeviceGetArchitecture(Device *d, unsigned *out) { return answer(d, NULL, out, 9); } /* Hopper: a peer asks before it reads the counter */
int nvmlDeviceGetMigMode(Device *d, unsigned *current, unsigned *pending) {
    double mig = number(d->index, "mig", -1);
    if (mig < 0) return NOT_SUPPORTED;
    *current = *pending = (unsigned)mig;
    return SUCCESS;
}
int nvmlDeviceGetPersistenceMode(Device *d, unsigned *out) { return answer(d, NULL, out, 1); }
int nvmlDeviceGetEnforcedPowerLimit(Device *d, unsigned *out) { return answer(d, NULL, out, number(d->index, "limit_w", 300) * 1e3); }
int nvmlDeviceGetPowerManagementDefaultLimit(Device *d, unsigned *out) {
    return answer(d, NULL, out, number(d->index, "limit_default_w", number(d->index, "limit_w", 300)) * 1e3);
}
int nvmlDeviceGetMaxClockInfo(Device *d, unsigned type, unsigned *out) { return answer(d, NULL, out, type == 1 ? 1980 : 2619); }
int nvmlDeviceGetClockInfo(Device *d, unsigned type, unsigned *out) { 
    if (type == 2) return refusal(d, "memory_clock") ? refusal(d, "memory_clock") : answer(d, "conditions", out, number(d->index, "memory_clock_mhz", 2619));
    return answer(d, "conditions", out, number(d->index, "sm_clock_mhz", 1400));
}
int nvmlDeviceGetTemperature(Device *d, unsigned sensor, unsigned *out) {
    (void)sensor;
    double watts = (wave_j(d->index, now_s(d->index)) - wave_j(d->index, now_s(d->index) - 1)) / 1;
    return answer(d, "conditions", out, number(d->index, "temperature_c", 45) + number(d->index, "heat_c_per_w", 0) * watts);
}
int nvmlDeviceGetUtilizationRates(Device *d, Utilization *out) { out->memory = 10; return answer(d, "conditions", &out->gpu, busy(d->index, "utilization_before", "utilization", 50)); }
int nvmlDeviceGetMemoryInfo(Device *d, Memory *out) {
    out->total = 80000000000ull;
    out->used = (unsigned long long)(busy(d->index, "memory_used_before", "memory_used_bytes", 1e9) + number(d->index, "memory_reserved_bytes", 0));
    out->free = out->total - out->used;
    return number(d->index, "conditions", 1) ? fault(d->index) : NOT_SUPPORTED;
}
int nvmlDeviceGetCurrentClocksEventReasons(Device *d, unsigned long long *out) {
    *out = (unsigned long long)number(d->index, "reasons", 0);
    return number(d->index, "conditions", 1) ? fault(d->index) : NOT_SUPPORTED;
}
static int processes(Device *d, unsigned *count, Process *out) {
    unsigned room = *count, found = 0, listed[16];
    double memory = number(d->index, "process_memory_bytes", 1 << 20);
    if (refusal(d, "processes")) return refusal(d, "processes");
    if (number(d->index, "hide_pids", 0)) return NO_PERMISSION;
    for (const char *at = text(d->index, "process_pids", ""); *at && found < 16; found++) listed[found] = (unsigned)strtoul(at, (char **)&at, 10);
    for (unsigned i = 0; i < number(d->index, "pids", 0) && found < 16; i++) listed[found++] = 1000 + i;
    *count = found;
    if (found > room || (found && !out)) return INSUFFICIENT_SIZE;
    for (unsigned i = 0; i < found; i++) out[i] = (Process){.pid = listed[i], .memory = memory < 0 ? ~0ull : (unsigned long long)memory};
    return SUCCESS;
}
int nvmlDeviceGetComputeRunningProcesses_v2(Device *d, unsigned *count, Process *out) { return processes(d, count, out); }
int nvmlDeviceGetComputeRunningProcesses_v3(Device *d, unsigned *count, Process *out) {
    return number(d->index, "processes_v3", 1) ? processes(d, count, out) : FUNCTION_NOT_FOUND;
}
int nvmlDeviceGetTotalEnergyConsumption(Device *d, unsigned long long *out) {
    int error = fault(d->index);
    if (error) return error;
    if (!number(d->index, "counter", 1)) return NOT_SUPPORTED;
    *out = (unsigned long long)llround(counter_j(d->index) * 1e3);
    return SUCCESS;
}
int nvmlDeviceGetPowerUsage(Device *d, unsigned *out) {
    return answer(d, "power_usage", out, gauge_w(d->index, now_s(d->index), "usage_window_s", 1) * 1e3);
}
/* Fields other than the power: the memory's temperature, and for how long the clock was held down, ns. Two of them share the slowed time. */
static int other_field(Device *d, Field *field) {
    double lasted_ns = fmax(now_s(d->index), 0) * 1e9;
    int number_ = (int)field->field, slowed = number_ == 75 || number_ == 269 || number_ == 270 || number_ == 271;
    if (number_ == 82) {
        field->value.ui = (unsigned)number(d->index, "memory_temperature_c", 50);
        return refusal(d, "memory_temperature");
    }
    if (number_ != 74 && !slowed) return INVALID_ARGUMENT;
    field->type = 3;
    field->value.ull = number_ == 74 ? (unsigned long long)(lasted_ns * number(d->index, "power_capped", 0))
        : number_ == 75 || number_ == 269 ? (unsigned long long)(lasted_ns * number(d->index, "slowed", 0)) : 0;
    return refusal(d, "violation_fields");
}
/* Succeeds as a whole whatever became of each field: the caller has to look at each one's status. */
int nvmlDeviceGetFieldValues(Device *d, int count, Field *fields) {
    double t = now_s(d->index);
    for (int i = 0; i < count; i++) {
        int instant = fields[i].field == 186, average = fields[i].field == 185;
        fields[i].value.ull = 0;
        fields[i].type = 1;
        fields[i].status = !instant && !average ? (unsigned)other_field(d, &fields[i])
            : (unsigned)answer(d, instant ? "field_instant" : "field_average", &fields[i].value.ui,
                     1e3 * (instant ? gauge_w(d->index, t, "window_s", 0.025) : gauge_w(d->index, t, "average_window_s", 1)));
    }
    return SUCCESS;
}

/* --- what a card is and how it is set --- */

static int plain(Device *d, const char *what, const char *key, double absent, unsigned *out) {
    *out = (unsigned)number(d->index, key, absent);
    return refusal(d, what);
}
int nvmlSystemGetCudaDriverVersion_v2(int *out) { *out = (int)number(-1, "cuda", 12080); return (int)number(-1, "refuse_cuda", 0); }
int nvmlSystemGetNVMLVersion(char *out, unsigned length) { snprintf(out, length, "12.575.51"); return (int)number(-1, "refuse_cuda", 0); }
int nvmlDeviceGetCudaComputeCapability(Device *d, int *major, int *minor) {
    int both = (int)number(d->index, "capability", 90);
    *major = both / 10, *minor = both % 10;
    return refusal(d, "capability");
}
int nvmlDeviceGetApplicationsClock(Device *d, unsigned type, unsigned *out) {
    if (type == 2) return plain(d, "application_clocks", "memory_clock_application_mhz", 2619, out);
    return plain(d, "application_clocks", "sm_clock_application_mhz", 1980, out);
}
int nvmlDeviceGetDefaultApplicationsClock(Device *d, unsigned type, unsigned *out) {
    *out = type == 2 ? 2619 : 1980;
    return refusal(d, "application_clocks");
}
int nvmlDeviceGetEccMode(Device *d, unsigned *current, unsigned *pending) { *pending = 1; return plain(d, "ecc", "ecc", 1, current); }
int nvmlDeviceGetTotalEccErrors(Device *d, unsigned kind, unsigned counter, unsigned long long *out) {
    (void)counter;
    *out = (unsigned long long)number(d->index, kind ? "ecc_uncorrected" : "ecc_corrected", 0);
    return refusal(d, "ecc_errors");
}
int nvmlDeviceGetComputeMode(Device *d, unsigned *out) { return plain(d, "compute_mode", "compute_mode", 0, out); }
int nvmlDeviceGetCurrPcieLinkGeneration(Device *d, unsigned *out) { return plain(d, "pcie", "pcie_generation", 5, out); }
int nvmlDeviceGetCurrPcieLinkWidth(Device *d, unsigned *out) { return plain(d, "pcie", "pcie_width", 16, out); }
int nvmlDeviceGetMaxPcieLinkGeneration(Device *d, unsigned *out) { return plain(d, "pcie", "pcie_generation_max", 5, out); }
int nvmlDeviceGetMaxPcieLinkWidth(Device *d, unsigned *out) { return plain(d, "pcie", "pcie_width_max", 16, out); }
int nvmlDeviceGetMemoryInfo_v2(Device *d, MemoryV2 *out) {
    Memory first;
    int error = nvmlDeviceGetMemoryInfo(d, &first);
    out->total = first.total, out->free = first.free;
    out->reserved = (unsigned long long)number(d->index, "memory_reserved_bytes", 0);
    out->used = first.used - out->reserved;
    return error ? error : refusal(d, "memory_v2");
}
int nvmlDeviceGetViolationStatus(Device *d, unsigned policy, Violation *out) {
    out->reference_us = 0;
    out->lasted_ns = (unsigned long long)(fmax(now_s(d->index), 0) * 1e9 * number(d->index, policy ? "slowed" : "power_capped", 0));
    return policy > 1 ? NOT_SUPPORTED : refusal(d, "violation_status");
}
