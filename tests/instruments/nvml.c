/* A simulated libnvidia-ml.so.1: power follows a known waveform, so the exact energy between any two times is known.
 *
 * It reads `key value` lines from the file that SIMULATED_NVML names, at each nvmlInit; `1.key value` is for the second GPU alone.
 * Times count from `origin_s` on CLOCK_MONOTONIC. The keys and what they are when absent:
 *
 *   devices 1, init_error 0, driver "simulated 1.0", name "Simulated GPU", uuid "GPU-simulated-<index>"
 *   wave constant|square|ramp|sine|step (low, and high from step_at_s on), low_w 50, high_w 150, wave_period_s 0.3, duty 0.5           the true power
 *   counter 1, update_period_s 0.1, lag_s 0, counter_from_gauge 0 (sums part-time readings)       the energy counter
 *   gauge_period_s 0.1, window_s 0.025 (field 186), average_window_s 1 (field 185), usage_window_s 1 (nvmlDeviceGetPowerUsage)
 *   field_instant 1, field_average 1, power_usage 1, gain 1, offset_w 0
 *   reset_at_s, stuck_at_s, back_at_s with back_j 5, absurd_at_s (3.7 MW), error_at_s, error_until_s, error_code 15     never
 *   temperature_c 45, heat_c_per_w 0, sm_clock_mhz 1400, utilization 50, memory_used_bytes 1e9, reasons 0, limit_w 300
 *   call_s 0 (how long each query of a device takes), call_spins 0 (1: it takes that of a core)
 *   mig -1 (not supported), pids 0 (how many), hide_pids 0, conditions 1
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { SUCCESS, UNINITIALIZED, INVALID_ARGUMENT, NOT_SUPPORTED, NO_PERMISSION, INSUFFICIENT_SIZE = 7, LIBRARY_NOT_FOUND = 12 };
enum { MAX_KEYS = 128, MAX_DEVICES = 8 };

typedef struct { int index; } Device;
typedef struct { unsigned field, scope; long long timestamp, latency_us; unsigned type, status; union { double d; unsigned ui; unsigned long long ull; } value; } Field;
typedef struct { unsigned gpu, memory; } Utilization;
typedef struct { unsigned long long total, free, used; } Memory;
typedef struct { unsigned pid; unsigned long long memory; unsigned gpu_instance, compute_instance; } Process;

static Device devices[MAX_DEVICES], instances[MAX_DEVICES]; /* a MIG card has one instance, `MIG-simulated-<index>`, with index + MAX_DEVICES */
static char keys[MAX_KEYS][64], values[MAX_KEYS][64];
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
    for (n_keys = 0; n_keys < MAX_KEYS && fscanf(file, "%63s %63[^\n]", keys[n_keys], values[n_keys]) == 2; n_keys++) {}
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
    if (!number(device, "counter_from_gauge", 0)) return number(device, "gain", 1) * wave_j(device, at) + number(device, "offset_w", 0) * at;
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
    if (t >= number(device, "error_at_s", INFINITY) && t < number(device, "error_until_s", INFINITY)) return (int)number(device, "error_code", 15);
    return SUCCESS;
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
int nvmlDeviceGetPowerManagementDefaultLimit(Device *d, unsigned *out) { return nvmlDeviceGetEnforcedPowerLimit(d, out); }
int nvmlDeviceGetMaxClockInfo(Device *d, unsigned type, unsigned *out) { return answer(d, NULL, out, type == 1 ? 1980 : 2619); }
int nvmlDeviceGetClockInfo(Device *d, unsigned type, unsigned *out) { (void)type; return answer(d, "conditions", out, number(d->index, "sm_clock_mhz", 1400)); }
int nvmlDeviceGetTemperature(Device *d, unsigned sensor, unsigned *out) {
    (void)sensor;
    double watts = (wave_j(d->index, now_s(d->index)) - wave_j(d->index, now_s(d->index) - 1)) / 1;
    return answer(d, "conditions", out, number(d->index, "temperature_c", 45) + number(d->index, "heat_c_per_w", 0) * watts);
}
int nvmlDeviceGetUtilizationRates(Device *d, Utilization *out) { out->memory = 10; return answer(d, "conditions", &out->gpu, number(d->index, "utilization", 50)); }
int nvmlDeviceGetMemoryInfo(Device *d, Memory *out) {
    out->total = 80000000000ull;
    out->used = (unsigned long long)number(d->index, "memory_used_bytes", 1e9);
    out->free = out->total - out->used;
    return number(d->index, "conditions", 1) ? fault(d->index) : NOT_SUPPORTED;
}
int nvmlDeviceGetCurrentClocksEventReasons(Device *d, unsigned long long *out) {
    *out = (unsigned long long)number(d->index, "reasons", 0);
    return number(d->index, "conditions", 1) ? fault(d->index) : NOT_SUPPORTED;
}
int nvmlDeviceGetComputeRunningProcesses_v3(Device *d, unsigned *count, Process *out) {
    unsigned room = *count;
    if (number(d->index, "hide_pids", 0)) return NO_PERMISSION;
    *count = (unsigned)number(d->index, "pids", 0);
    if (*count > room || (*count && !out)) return INSUFFICIENT_SIZE;
    for (unsigned i = 0; i < *count; i++) out[i] = (Process){.pid = 1000 + i, .memory = 1 << 20};
    return SUCCESS;
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
/* Succeeds as a whole whatever became of each field: the caller has to look at each one's status. */
int nvmlDeviceGetFieldValues(Device *d, int count, Field *fields) {
    double t = now_s(d->index);
    for (int i = 0; i < count; i++) {
        int instant = fields[i].field == 186, average = fields[i].field == 185;
        fields[i].value.ull = 0;
        fields[i].type = 1;
        fields[i].status = !instant && !average ? INVALID_ARGUMENT
            : (unsigned)answer(d, instant ? "field_instant" : "field_average", &fields[i].value.ui,
                     1e3 * (instant ? gauge_w(d->index, t, "window_s", 0.025) : gauge_w(d->index, t, "average_window_s", 1)));
    }
    return SUCCESS;
}
