/** Words of the page in Chinese and English, the chosen language, and numbers and dates as that language writes them. */

export type Lang = 'zh' | 'en';

const words = {
  title: ['路灯柱 Lamppost', 'Lamppost'],
  subtitle: ['城市部件一张图', 'City facilities on one map'],
  language: ['语言', 'Language'],
  close: ['关闭', 'Close'],
  none: ['无', 'None'],
  yes: ['是', 'Yes'],
  no: ['否', 'No'],

  map: ['地图', 'Map'],
  zoomIn: ['放大', 'Zoom in'],
  zoomOut: ['缩小', 'Zoom out'],
  resetNorth: ['恢复正北', 'Reset north'],
  attribution: ['数据来源', 'Attribution'],

  layers: ['图层', 'Layers'],
  facilities: ['设施', 'Facilities'],
  base: ['底图要素', 'Base'],
  grid: ['网格与区划', 'Grid and areas'],
  binsHint: ['带数字的圆表示一组部件，点击可放大。', 'A circle with a number is a group: click to zoom in.'],
  basemap: ['底图', 'Base map'],
  gcj02: ['GCJ-02 坐标，暂不能与部件对齐', 'GCJ-02: components cannot follow it yet'],

  coverage: ['服务覆盖', 'Coverage'],
  rule: ['规则', 'Rule'],
  denominator: ['分母（须服务的用地）', 'Denominator (land to be served)'],
  radius: ['服务半径', 'Service radius'],
  ruleRadius: ['按规则', 'as the rule has it'],
  metres: ['{n} 米', '{n} m'],
  tier: ['面积 ≥ {area} 平方米：{n} 米', 'at least {area} m²: {n} m'],
  unverified: ['（未核对原文）', '(not verified)'],
  rate: ['覆盖率', 'Rate'],
  covered: ['已覆盖', 'Covered'],
  blind: ['盲区', 'Blind'],
  blindPeople: ['盲区人口', 'People in blind spots'],
  blindSpots: ['盲区数', 'Blind spots'],
  counted: ['计入设施', 'Facilities that count'],
  tooSmall: ['另有 {n} 处面积不足', '{n} more are too small'],
  met: ['达标', 'met'],
  short: ['差 {n}', 'short by {n}'],
  hectares: ['{n} 公顷', '{n} ha'],
  computed: ['直线距离，{crs} 平面计算，登记簿版本 {revision}，{day}', 'Straight line, computed in {crs}, revision {revision}, {day}'],
  siting: ['选址与方案', 'Siting and scenarios'],
  sitingOn: ['可建用地', 'Land that may be built on'],
  sites: ['处数', 'How many sites'],
  weight: ['按何者最多', 'What is to be gained'],
  weight_area: ['面积', 'Land'],
  weight_people: ['人口', 'People'],
  sitingFind: ['找地点', 'Find sites'],
  sitingSearching: ['正在求解……', 'Searching …'],
  sitingProven: ['{n} 处候选中的最优解', 'The best of {n} candidates, proven'],
  sitingGap: ['{n} 处候选；与最优解相差至多 {gap}', 'Of {n} candidates; {gap} short of the best at most'],
  addsPeople: ['+{n} 人', '+{n} people'],
  scenario: ['按方案查看', 'As if built'],
  asItStands: ['现状', 'As it stands'],
  compareWith: ['与之比较', 'Compare with'],
  compareNone: ['不比较', 'Nothing'],
  scenarioName: ['方案名称', 'Name of the scenario'],
  scenarioKeep: ['存为方案', 'Keep'],
  scenarioKept: ['已保存方案“{name}”', 'The scenario "{name}" is kept'],
  gained: ['新增覆盖', 'Gained'],
  lost: ['失去覆盖', 'Lost'],
  before: ['之前', 'Before'],
  after: ['之后', 'After'],
  changed: ['变化', 'Change'],
  land_commercial: ['商业', 'Commercial'],
  land_public: ['公共', 'Public'],
  land_green: ['绿地', 'Green'],
  land_other: ['其他', 'Other'],
  land_residential: ['居住', 'Residential'],
  land_industrial: ['工业', 'Industrial'],
  reportOf: ['打印报告', 'Report to print'],
  pictureOf: ['图片（300 dpi）', 'Picture (300 dpi)'],
  blindFiles: ['盲区文件：', 'Blind spots as'],

  signIn: ['登录', 'Sign in'],
  signOut: ['退出登录', 'Sign out'],
  accountName: ['账号', 'Account'],
  password: ['密码', 'Password'],
  oldPassword: ['旧密码', 'Old password'],
  newPassword: ['新密码（至少 10 个字符）', 'New password (10 characters or more)'],
  changePassword: ['修改密码', 'Change the password'],
  firstPassword: ['初次登录，请先设定自己的密码。', 'This is your first sign-in: choose a password of your own.'],
  access_reader: ['查阅', 'Reader'],
  access_clerk: ['经办', 'Clerk'],
  access_surveyor: ['普查', 'Surveyor'],
  access_adjudicator: ['审批', 'Adjudicator'],
  access_admin: ['管理', 'Admin'],
  signInFirst: ['请先登录有编辑权限的账号', 'Sign in first, with an account that may edit'],

  export: ['导出清单', 'Export a list'],
  exportLayer: ['图层', 'Layer'],
  exportFormat: ['格式', 'Format'],
  exportHere: ['仅当前范围', 'In view only'],
  exportDo: ['下载', 'Download'],

  colouring: ['部件颜色', 'Colour by'],
  byLayer: ['图层', 'Layer'],
  moment: ['时点（当日末的记录）', 'As recorded at the end of'],
  backToNow: ['返回现在', 'Back to now'],
  state_intact: ['完好', 'Intact'],
  state_damaged: ['破损', 'Damaged'],
  state_missing: ['丢失', 'Missing'],
  state_abandoned: ['废弃', 'Abandoned'],
  status_unsurveyed: ['未确权', 'Not surveyed'],
  status_proposed: ['待确权', 'Proposed'],
  status_confirmed: ['已确权', 'Confirmed'],
  status_disputed: ['争议', 'Disputed'],
  status_unclaimed: ['无主', 'Unclaimed'],
  status_designated: ['指定', 'Designated'],

  claims: ['确权', 'Ownership claims'],
  newClaim: ['提出主张', 'Hand in a claim'],
  handIn: ['提交', 'Hand in'],
  handedIn: ['已提交，待审核', 'Handed in; it waits for review'],
  role: ['责任', 'Role'],
  kind: ['事项', 'Kind'],
  kind_claim: ['确权主张', 'Claim'],
  kind_transfer: ['移交', 'Transfer'],
  kind_designation: ['指定', 'Designation'],
  kind_disclaimer: ['认定无主', 'Nobody claims it'],
  party: ['单位', 'Party'],
  partyHint: ['名称或代码，共有用顿号分开', 'Names or codes, with commas'],
  from: ['起日', 'From'],
  document: ['材料', 'Document'],
  documentDefault: ['确权文件', 'Document'],
  documentNumber: ['文号', 'Its number'],
  photo: ['现场照片', 'Photo'],
  scan: ['照片或扫描件', 'Photo or scan'],
  why: ['事由', 'Reason'],
  since: ['自 {day}', 'from {day}'],
  handedInBy: ['经办 {who}', 'handed in by {who}'],
  reviewedBy: ['审核 {who}', 'reviewed by {who}'],
  disputeHolds: ['争议期间由 {who} 负责，{until} 前裁定', '{who} answers meanwhile; to be ruled by {until}'],
  act_review: ['审核', 'Review'],
  act_confirm: ['确认', 'Confirm'],
  act_rule: ['裁定归此', 'Rule for it'],
  act_uphold: ['维持原状', 'Uphold the holder'],
  act_reject: ['驳回', 'Reject'],
  act_withdraw: ['撤回', 'Withdraw'],
  printFile: ['打印档案', 'Print its file'],
  printConfirmation: ['权属确认单', 'Confirmation of ownership'],

  batch: ['批量确权', 'Claims in bulk'],
  anyStatus: ['任何确权状态', 'Any ownership status'],
  searchDo: ['查询', 'Search'],
  selectAll: ['全部 {n} 个', 'All {n}'],
  firstShown: ['列出前 {k} 个', 'the first {k} are listed'],
  codeHead: ['标识码', 'Code'],
  classHead: ['小类', 'Class'],
  bulk_claim: ['提出主张', 'Claim'],
  bulk_transfer: ['移交', 'Transfer'],
  bulk_review: ['审核', 'Review'],
  bulk_confirm: ['确认', 'Confirm'],
  bulk_reject: ['驳回', 'Reject'],
  doIt: ['办理', 'Do it'],
  wouldDo: ['可办理 {n} 个，{faults} 个有问题', '{n} can be done, {faults} cannot'],
  done: ['已办理 {n} 个，批号 {batch}', '{n} done, batch {batch}'],
  undone: ['已撤销 {n} 个，{left} 个此后有变未动', '{n} taken back, {left} changed since and left'],

  import: ['导入交付', 'Import a delivery'],
  chooseFile: ['选择或拖入文件', 'Choose a file or drop it here'],
  formatsHint: ['Excel、CSV、Shapefile（zip）、GeoPackage、FlatGeobuf、GeoJSON', 'Excel, CSV, Shapefile (zip), GeoPackage, FlatGeobuf, GeoJSON'],
  sending: ['正在上传 {share} %', 'Sending, {share} %'],
  recent: ['近期导入', 'Recent imports'],
  stageOpen: ['待决定', 'To be decided'],
  stageReady: ['待导入', 'Ready'],
  stageWaiting: ['排队中', 'Waiting'],
  stageRunning: ['导入中', 'Under way'],
  stageDone: ['已导入', 'Loaded'],
  stageTried: ['已试运行', 'Tried'],
  stageFailed: ['失败', 'Failed'],
  stageUndone: ['已撤销', 'Undone'],
  decide: ['须先决定', 'To be decided first'],
  classHint: ['全部行的小类，如 0118 或 路灯', 'Class of every row, such as 0118'],
  crs: ['坐标系', 'Coordinate system'],
  asAttribute: ['作为属性保留', 'Kept as an attribute'],
  fieldClass: ['小类', 'Class'],
  fieldCode: ['标识码', 'Code'],
  fieldEast: ['经度或东坐标', 'Longitude or easting'],
  fieldNorth: ['纬度或北坐标', 'Latitude or northing'],
  fieldKey: ['来源主键', 'Key of the source'],
  fieldWkt: ['WKT', 'WKT'],
  fieldChanged: ['变更日期', 'Changed on'],
  codeOf: ['{what}代码', '{what}: code'],
  sync: ['以该文件为准：来源中已没有的部件予以注销', 'The file is the truth: what it no longer has is retired'],
  overwrite: ['覆盖登记册中的修改', 'Replace edits made in the register'],
  mapping: ['映射（TOML）', 'Mapping (TOML)'],
  tryIt: ['试运行', 'Dry run'],
  load: ['导入', 'Load'],
  undo: ['撤销', 'Undo'],
  another: ['其他文件', 'Another file'],
  rowsRead: ['读取', 'Read'],
  rowsAdded: ['新增', 'Added'],
  rowsChanged: ['变更', 'Changed'],
  rowsUnchanged: ['未变', 'Unchanged'],
  rowsRetired: ['注销', 'Retired'],
  rowsRejected: ['退回', 'Rejected'],
  triedOnly: ['试运行，未写入', 'Dry run: nothing was kept'],
  row: ['第 {n} 行', 'row {n}'],
  unknownParty: ['没有单位“{name}”（{n} 行）', 'No party “{name}” ({n} rows)'],
  isParty: ['即“{name}”', 'It is “{name}”'],
  rejects: ['下载退回清单', 'Refused rows'],
  changes: ['下载变更清单', 'List of changes'],
  correctHint: ['更正后的退回清单可直接再次导入。', 'The corrected list can be imported as it is.'],

  searchLabel: ['查找部件', 'Search components'],
  searchHint: ['标识码、名称、道路或单元网格', 'Code, name, road or cell'],
  searchClear: ['清除', 'Clear'],
  searchNone: ['没有找到“{q}”', 'Nothing found for “{q}”'],
  searchCount: ['共 {n} 个部件', '{n} components'],
  searchSome: ['共 {n} 个部件，显示前 {k} 个', 'First {k} of {n} components'],

  component: ['部件', 'Component'],
  loading: ['正在读取…', 'Loading…'],
  zoomTo: ['定位', 'Zoom to'],
  copyLink: ['复制链接', 'Copy link'],
  linkCopied: ['链接已复制', 'Link copied'],
  state: ['状态', 'State'],
  ownershipStatus: ['确权状态', 'Ownership'],
  parties: ['责任单位', 'Responsible parties'],
  authority: ['主管部门', 'Authority'],
  owner: ['权属单位', 'Owner'],
  maintainer: ['养护单位', 'Maintainer'],
  propertyKind: ['产权性质', 'Property'],
  managementKind: ['管理方式', 'Management'],
  place: ['位置', 'Place'],
  cell: ['单元网格', 'Unit cell'],
  community: ['社区', 'Community'],
  street: ['街道', 'Street'],
  road: ['道路', 'Road'],
  address: ['地址', 'Address'],
  position: ['经纬度', 'Lon, lat'],
  record: ['建档', 'Record'],
  scheme: ['编码规则', 'Code scheme'],
  classCode: ['小类代码', 'Class code'],
  name: ['名称', 'Name'],
  partOf: ['从属于', 'Part of'],
  surveyedOn: ['普查日期', 'Surveyed on'],
  source: ['数据来源', 'Source'],
  accuracy: ['精度等级', 'Accuracy'],
  version: ['版本', 'Version'],
  note: ['备注', 'Note'],
  attributes: ['扩展属性', 'Attributes'],
  history: ['变更历史', 'History'],
  restore: ['恢复第 {version} 版', 'Restore version {version}'],
  firstVersion: ['首次登记', 'First recorded'],
  by: ['{who}', 'by {who}'],
  historyMissing: ['变更历史暂时读不到。', 'The history cannot be read just now.'],
  cleared: ['（空）', '(empty)'],

  unreachable: ['连接不上服务器', 'The server cannot be reached'],
  unreachableDetail: ['请检查网络后再试。', 'Check the network and try again.'],
  noWebgl: ['这个浏览器不能显示地图', 'This browser cannot draw the map'],
  noWebglDetail: ['地图需要 WebGL 2。', 'The map needs WebGL 2.'],
  serverError: ['服务器答复有误（{status}）', 'The server answered with an error ({status})'],
} as const satisfies Record<string, readonly [string, string]>;

export type Word = keyof typeof words;

const STORED = 'lamppost.lang';
const listeners: (() => void)[] = [];
let current: Lang = initial();

function initial(): Lang {
  const stored = recall(STORED);
  if (stored === 'zh' || stored === 'en') return stored;
  return navigator.language.toLowerCase().startsWith('zh') ? 'zh' : 'en';
}

/** Storage may be forbidden (private windows, embedded pages); the choice then lasts as long as the page. */
export function recall(key: string): string | null {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

export function remember(key: string, value: string): void {
  try {
    localStorage.setItem(key, value);
  } catch {
    // Nothing depends on it.
  }
}

export const lang = (): Lang => current;

export function setLang(next: Lang): void {
  if (next === current) return;
  current = next;
  remember(STORED, next);
  translatePage();
  listeners.forEach((listener) => listener());
}

export function onLang(listener: () => void): void {
  listeners.push(listener);
}

export function t(word: Word, values: Record<string, string | number> = {}): string {
  const text: string = words[word][current === 'zh' ? 0 : 1];
  return text.replace(/\{(\w+)\}/g, (_, name: string) => String(values[name] ?? ''));
}

/** Fills the fixed texts of index.html. The page's `lang` also selects the regional form of Han characters, on the map too. */
export function translatePage(): void {
  document.documentElement.lang = current === 'zh' ? 'zh-CN' : 'en';
  document.title = `${t('title')} · ${t('subtitle')}`;
  for (const element of document.querySelectorAll<HTMLElement>('[data-t]')) {
    element.textContent = t(element.dataset.t as Word);
  }
  for (const element of document.querySelectorAll<HTMLElement>('[data-t-label]')) {
    element.setAttribute('aria-label', t(element.dataset.tLabel as Word));
  }
}

const locale = (): string => (current === 'zh' ? 'zh-CN' : 'en-GB');

export const number = (value: number): string => new Intl.NumberFormat(locale()).format(value);

export function moment(iso: string): string {
  const time = new Date(iso);
  if (Number.isNaN(time.valueOf())) return iso;
  return new Intl.DateTimeFormat(locale(), { dateStyle: 'medium', timeStyle: 'short' }).format(time);
}

/** A calendar day has no time zone: read it as UTC and write it as UTC, or it slips by a day west of Greenwich. */
export function day(iso: string): string {
  const time = new Date(iso.length === 10 ? `${iso}T00:00:00Z` : iso);
  if (Number.isNaN(time.valueOf())) return iso;
  return new Intl.DateTimeFormat(locale(), { dateStyle: 'medium', timeZone: 'UTC' }).format(time);
}
