// A query put together from text and numbered parameters, for functions that read. Values are never
// written into the text. The caller quotes identifiers, and names operators with their schema,
// because the user's search_path is in force.
#pragma once

#include "server/pg.hpp"

namespace kanthorq {

class ReadQuery {
 public:
  ReadQuery() {
    initStringInfo(&sql_);
    parameters_ = makeParamList(max_parameters);
    parameters_->numParams = 0;
  }

  void add(const char* text) { appendStringInfoString(&sql_, text); }

  // Adds `before`, the next parameter with this value, and `after`.
  void add(const char* before, Oid type, Datum value, const char* after = "") {
    if (parameters_->numParams == max_parameters) elog(ERROR, "a query has too many parameters");
    ParamExternData& parameter = parameters_->params[parameters_->numParams++];
    parameter = {value, false, PARAM_FLAG_CONST, type};
    appendStringInfo(&sql_, "%s$%d%s", before, parameters_->numParams, after);
  }

  // Runs the query with the snapshot of the calling statement and returns the rows as the result of
  // a function, which InitMaterializedSRF() has prepared.
  void run_into(ReturnSetInfo* result) const {
    DestReceiver* rows = CreateTuplestoreDestReceiver();
    SetTuplestoreDestReceiverParams(rows, result->setResult,
                                    result->econtext->ecxt_per_query_memory, false, result->setDesc,
                                    "the query does not return what the function does");
    run(rows);
    rows->rDestroy(rows);
  }

  // Runs the query the same way and hands the rows to `rows`, or leaves them in SPI_tuptable.
  void run(DestReceiver* rows = nullptr) const {
    SPIExecuteOptions options{};
    options.params = parameters_;
    options.read_only = true;
    options.dest = rows;
    const int result = SPI_execute_extended(sql_.data, &options);
    if (result < 0) elog(ERROR, "could not run a query: %s", SPI_result_code_string(result));
  }

 private:
  // A range of time has up to 27 ranges of ids with ten parameters each, and one for the page.
  static constexpr int max_parameters = 320;
  StringInfoData sql_;
  ParamListInfo parameters_;
};

}  // namespace kanthorq
