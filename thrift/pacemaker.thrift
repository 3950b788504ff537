// The messages between Storm and Pacemaker, the same in every Storm release
// from 1.0.0 on.  A frame is a big-endian i32 length and one HBMessage in
// TBinaryProtocol, without a Thrift message header.

enum HBServerMessageType {
  CREATE_PATH = 0,
  CREATE_PATH_RESPONSE = 1,
  EXISTS = 2,
  EXISTS_RESPONSE = 3,
  SEND_PULSE = 4,
  SEND_PULSE_RESPONSE = 5,
  GET_ALL_PULSE_FOR_PATH = 6,
  GET_ALL_PULSE_FOR_PATH_RESPONSE = 7,
  GET_ALL_NODES_FOR_PATH = 8,
  GET_ALL_NODES_FOR_PATH_RESPONSE = 9,
  GET_PULSE = 10,
  GET_PULSE_RESPONSE = 11,
  DELETE_PATH = 12,
  DELETE_PATH_RESPONSE = 13,
  DELETE_PULSE_ID = 14,
  DELETE_PULSE_ID_RESPONSE = 15,
  CONTROL_MESSAGE = 16,
  SASL_MESSAGE_TOKEN = 17,
  NOT_AUTHORIZED = 18
}

// One heartbeat.  `id` is its path in the store; a GET_PULSE_RESPONSE without
// `details` says that nothing is stored there.
struct HBPulse {
  1: required string id,
  2: binary details
}

struct HBRecords {
  1: list<HBPulse> pulses
}

struct HBNodes {
  1: list<string> pulseIds
}

// There is no field 6.
union HBMessageData {
  1: string path,
  2: HBPulse pulse,
  3: bool boolval,
  4: HBRecords records,
  5: HBNodes nodes,
  7: binary message_blob
}

struct HBMessage {
  1: HBServerMessageType type,
  2: HBMessageData data,
  3: optional i32 message_id = -1
}
